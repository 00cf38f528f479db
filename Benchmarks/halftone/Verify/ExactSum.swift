/// A sum of products in double precision, in which each product is exact.
struct ExactSum {
    let terms: Int
    private(set) var value = 0.0
    private var magnitude = 0.0

    init(terms: Int) {
        self.terms = terms
    }

    mutating func add(_ product: Double) {
        value += product
        magnitude += abs(product)
    }

    /// Sums of integers are those of the double, which are exact, modulo 2^32.
    func integerFault(of found: UInt32) -> String? {
        let wanted = UInt32(truncatingIfNeeded: Int(value))
        return found == wanted ? nil : "the exact sum is \(value)"
    }

    /// What a sum in f32 may be off by, each of its steps losing what is smaller than `smallest`.
    func bound(smallest: Double) -> Double {
        errorBound(terms: terms, columns: terms) * magnitude + Double(terms) * smallest
    }

    /// What is wrong with a result that has an exact value, or `nil`.
    static func fault(of found: Float, exact: Double, bound: Double) -> String? {
        if exact.isNaN { return found.isNaN ? nil : "the exact result is not a number" }
        if exact.isInfinite { return Double(found) == exact ? nil : "the exact result is \(exact)" }
        let error = abs(Double(found) - exact)
        return error <= bound ? nil : "the exact result is \(exact): off by \(error), more than the bound \(bound)"
    }
}
