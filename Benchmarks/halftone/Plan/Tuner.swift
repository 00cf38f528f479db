import CHalftone
import CHalftoneBench
import Dispatch

/// Fits a model of the machine to what it measures.
///
/// Every figure is found from calls in which its part of the time is large: what the model foretells for the other parts
/// is taken off. The parts depend on each other a little, so there are three rounds.
struct Tuner {
    private(set) var machine: ht_machine
    private let seconds: Double
    private let isas: [String]?
    /// The shortest time of each product that any round saw.
    private var shortest: [String: Double] = [:]
    private var weights: (item: PlanCase, packed: PlanWeights)?

    init(machine: ht_machine, seconds: Double, isas: [String]?) {
        self.machine = machine
        self.seconds = seconds
        self.isas = isas
    }

    mutating func run() throws {
        _ = htb_pin()
        machine.clock = htb_clock()
        try measureMemory()
        for _ in 0..<3 {
            try fitCall()
            for row in KernelRow.all() where row.runs && isas?.contains(row.isa) ?? true { try fit(row) }
            try fitExposed()
        }
        htb_unpin()
        try measureTogether()
    }

    // MARK: memory and calls

    private static let memoryBytes = 256 << 20

    private mutating func measureMemory() throws {
        let block = try Memory(bytes: Self.memoryBytes)
        func rate(_ bytes: Int, times: Int) -> Double {
            Double(bytes) / Self.shortest(of: times, clock: htb_thread_seconds) { _ = htb_read(block.address, bytes) }
        }
        machine.l2_rate = rate(Int(machine.l2 / 2), times: 500) / machine.clock
        machine.l3_rate = min(machine.l2_rate, rate(Int(machine.l3 / 4), times: 50) / machine.clock)
        machine.memory_rate = rate(Self.memoryBytes, times: 5)
        machine.memory_rate_all = machine.memory_rate
    }

    /// What needs all CPUs.
    private mutating func measureTogether() throws {
        let threads = Int(ht_thread_count())
        guard threads > 1 else { return }
        let block = try Memory(bytes: Self.memoryBytes)
        let address = UInt(bitPattern: block.address)
        let part = Self.memoryBytes / threads
        let together = Self.shortest(of: 20, clock: htb_seconds) {
            DispatchQueue.concurrentPerform(iterations: threads) { index in
                if let from = UnsafeRawPointer(bitPattern: address + UInt(index * part)) { _ = htb_read(from, part) }
            }
        }
        machine.memory_rate_all = max(machine.memory_rate, Double(part * threads) / together)
        var item = PlanCase(types: .f32, shape: Shape(o: 32, k: 16, t: 1), pattern: Pattern(n: 2, m: 4))
        let alone = try time(item)
        item.threads = 2
        machine.fork = max(1e-9, try time(item) - alone)
    }

    private mutating func fitCall() throws {
        let item = PlanCase(types: .f32, shape: Shape(o: 16, k: 16, t: 1), pattern: Pattern(n: 2, m: 4))
        let plan = try item.plan(machine)
        machine.call = max(1e-9, try time(item) - (plan.seconds - plan.overhead))
    }

    /// From weights in the last cache and in memory, for few rows of X.
    private mutating func fitExposed() throws {
        var shares: [Double] = []
        for side in [1500, 4000] {
            for t in [4, 8, 16, 32] {
                let item = PlanCase(types: .f32, shape: Shape(o: side, k: side, t: t), pattern: Pattern(n: 2, m: 4))
                var all = machine
                all.exposed = 1
                let plan = try item.plan(all)
                shares.append(min(1, max(0, 1 + (try time(item) - plan.seconds) / plan.weights)))
            }
        }
        machine.exposed = shares.sorted()[shares.count / 2]
    }

    // MARK: kernels

    private static let products: [(op: String, types: PlanTypes)] = [
        ("nm_gemm_f32", .f32), ("nm_gemm_bf16", .bf16), ("nm_gemm_i8", .u8),
    ]
    /// One for each index code, in their order.
    private static let patterns = [(1, 4), (2, 4), (1, 8), (2, 8), (1, 16), (2, 16), (4, 8), (1, 5)]
        .map { Pattern(n: $0.0, m: $0.1) }
    private static let rowsOfX = [1, 2, 4, 8, 16, 24, 32, 64, 128, 256]

    private mutating func fit(_ row: KernelRow) throws {
        guard let product = Self.products.firstIndex(where: { $0.op == row.op }) else { return }
        let isa = row.isaOption
        var item = PlanCase(
            types: Self.products[product].types, shape: Shape(o: 64, k: 256, t: 4), pattern: Pattern(n: 2, m: 4),
            isa: isa)
        if isa == HT_ISA_REF {
            let plan = try item.plan(machine)
            machine[product, isa].peak *= plan.arithmetic / max(1e-9, try time(item) - plan.overhead)
            return
        }
        for (code, pattern) in Self.patterns.enumerated() {
            item.pattern = pattern
            try fit(item, product, code: code)
            try fitPreparing(item, product, code: code)
        }
        try fitRates(item, product)
    }

    /// X and Y: a layer with few outputs has much X, one with few inputs much Y. Strides that are no power of two keep
    /// rows from meeting in the same lines of a cache.
    private mutating func fitRates(_ item: PlanCase, _ product: Int) throws {
        var item = item
        item.pattern = Pattern(n: 1, m: 16)
        for t in [4, 128] {
            item.shape = Shape(o: 16, k: 2000, t: t)
            let isStrips = try item.plan(machine).design == HT_NM_DESIGN_STRIPS
            try fitRate(item, product, isStrips ? \.copy : \.pack, \.x)
        }
        item.shape = Shape(o: 2000, k: 16, t: 128)
        try fitRate(item, product, \.store, \.y)
    }

    private mutating func fitRate(
        _ item: PlanCase, _ product: Int, _ rate: WritableKeyPath<ht_machine_row, Double>,
        _ part: KeyPath<ht_plan, Double>
    ) throws {
        let plan = try item.plan(machine)
        let foretold = plan[keyPath: part]
        // What is left for a part that takes little of the time is mostly the noise of the others.
        let measured = max(try time(item) - plan.seconds + foretold, plan.seconds / 10)
        machine[product, item.isa][keyPath: rate] *= foretold / measured
    }

    /// Where kernels prepare weights, the fewest rows of X for which they do so show what that takes.
    private mutating func fitPreparing(_ item: PlanCase, _ product: Int, code: Int) throws {
        for t in Self.rowsOfX {
            var item = item
            item.shape = Self.shape(t: t)
            let plan = try item.plan(machine)
            let foretold = try plan.arithmetic - unprepared(item, product, code: code)
            guard foretold > 0 else { continue }
            let measured = max(try time(item) - plan.seconds + foretold, plan.seconds / 50)
            machine[product, item.isa][preparing: code] *= foretold / measured
            return
        }
    }

    /// The seconds of arithmetic if weights needed no preparing.
    private func unprepared(_ item: PlanCase, _ product: Int, code: Int) throws -> Double {
        var model = machine
        model[product, item.isa][preparing: code] = .infinity
        return try item.plan(model).arithmetic
    }

    /// Weights that stay in a core's own cache.
    private static func shape(t: Int) -> Shape { Shape(o: 384, k: 512, t: t) }

    /// The model says: seconds of arithmetic = (rows of X + extra * passes) * unit / share. What it says for an extra of
    /// 0 and of 1 gives rows and passes; 1 / share and extra / share are the least squares of the relative errors.
    private mutating func fit(_ item: PlanCase, _ product: Int, code: Int) throws {
        for (designs, part) in [
            ([HT_NM_DESIGN_PANELS, HT_NM_DESIGN_TILES], \ht_machine_row.panels),
            ([HT_NM_DESIGN_STRIPS], \ht_machine_row.strips),
        ] {
            var sums = Sums(rr: 0, rp: 0, pp: 0, r: 0, p: 0)
            for t in Self.rowsOfX {
                var item = item
                item.shape = Self.shape(t: t)
                let plan = try item.plan(machine)
                guard designs.contains(plan.design) else { continue }
                // What preparing takes is found from few rows of X, so it must not be looked for there.
                let unprepared = try unprepared(item, product, code: code)
                guard t >= 24 || unprepared == plan.arithmetic else { continue }
                let target = try time(item) - plan.seconds + unprepared
                guard target > 0 else { continue }
                var model = machine
                model[product, item.isa][preparing: code] = .infinity
                model[product, item.isa][keyPath: part].set(code: code, share: 1, extra: 0)
                let rows = try item.plan(model).arithmetic
                model[product, item.isa][keyPath: part].set(code: code, share: 1, extra: 1)
                let (r, p) = (rows / target, (try item.plan(model).arithmetic - rows) / target)
                sums.rr += r * r
                sums.rp += r * p
                sums.pp += p * p
                sums.r += r
                sums.p += p
            }
            guard sums.rr > 0 else { continue }
            let (perRow, perPass) = Self.leastSquares(sums)
            machine[product, item.isa][keyPath: part].set(code: code, share: 1 / perRow, extra: perPass / perRow)
        }
    }

    private typealias Sums = (rr: Double, rp: Double, pp: Double, r: Double, p: Double)

    /// The a and b for which a r + b p is nearest to 1 over all pairs; a is 1 at least, for no kernel is faster than the
    /// peak, and b not negative.
    private static func leastSquares(_ s: Sums) -> (Double, Double) {
        let determinant = s.rr * s.pp - s.rp * s.rp
        let a = determinant > 1e-6 * s.rr * s.pp ? (s.r * s.pp - s.p * s.rp) / determinant : 0
        let b = max(0, (s.p - max(1, a) * s.rp) / s.pp)
        return b > 0 ? (max(1, a), b) : (max(1, s.r / s.rr), 0)
    }

    // MARK: timing

    private static func shortest(of times: Int, clock: () -> Double, _ body: () -> Void) -> Double {
        (0..<times).reduce(Double.infinity) { shortest, _ in
            let start = clock()
            body()
            return min(shortest, clock() - start)
        }
    }

    /// The shortest call of a product in this round and those before.
    private mutating func time(_ item: PlanCase) throws -> Double {
        if weights?.item.sharesWeights(with: item) != true {
            weights = (item, try PlanWeights(item))
        }
        guard let packed = weights?.packed else { return .infinity }
        let key = "\(item)"
        let now = min(shortest[key] ?? .infinity, try PlanProduct(item, packed).seconds(budget: seconds))
        shortest[key] = now
        return now
    }
}
