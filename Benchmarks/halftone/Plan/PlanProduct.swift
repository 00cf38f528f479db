import CHalftone
import CHalftoneBench

/// The types of a product's operands, as `--dtype` names them.
enum PlanTypes: String, CaseIterable {
    case f32
    case bf16
    case u8
    case i8
    /// bf16 and f16 weights for f32 products.
    case f32bf16 = "f32xbf16"
    case f32f16 = "f32xf16"

    var x: ht_dtype { kind.inputs }

    fileprivate var kind: ProductKind {
        switch self {
        case .f32, .f32bf16, .f32f16: .f32
        case .bf16: .bf16
        case .u8: .u8
        case .i8: .i8
        }
    }

    var w: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .bf16, .f32bf16: HT_DTYPE_BF16
        case .f32f16: HT_DTYPE_F16
        case .u8, .i8: HT_DTYPE_I8
        }
    }

    init(named name: String) throws {
        guard let types = Self(rawValue: name) else {
            let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw ToolError("'\(name)' is no element type; there is \(known)")
        }
        self = types
    }
}

/// One product to plan and to time.
struct PlanCase {
    var types: PlanTypes
    var shape: Shape
    var pattern: Pattern
    var threads = 1
    var isa = HT_ISA_AUTO

    fileprivate var problem: Problem {
        Problem(operation: .product, kind: types.kind, geometry: .product(o: shape.o, k: shape.k, t: shape.t))
    }

    var options: ht_options {
        var options = ht_options()
        options.threads = Int32(threads)
        options.isa = isa
        return options
    }

    /// What the library foretells with this model of the machine.
    func plan(_ machine: ht_machine) throws -> ht_plan {
        var plan = ht_plan()
        var (options, machine) = (options, machine)
        try check(
            ht_nm_plan(
                shape.t, shape.o, shape.k, pattern.n, pattern.m, types.x, types.w, &options, &machine, &plan),
            "planning \(shape.o)x\(shape.k)x\(shape.t) \(pattern)")
        return plan
    }

    func sharesWeights(with other: PlanCase) -> Bool {
        types == other.types && pattern == other.pattern && (shape.o, shape.k) == (other.shape.o, other.shape.k)
    }
}

/// Random weights of one pattern, pruned and packed.
final class PlanWeights {
    let types: PlanTypes
    let o: Int
    let k: Int
    let packed: Memory

    init(_ item: PlanCase) throws {
        let pattern = item.pattern
        (types, o, k) = (item.types, item.shape.o, item.shape.k)
        let w = try randomNumbers(o * k, type: types.w, seed: 1)
        let mask = try Memory(bytes: o * ((k + 7) / 8))
        let bits = mask.address.assumingMemoryBound(to: UInt8.self)
        try check(Self.mask(w.address, types.w, o, k, pattern, bits), "masking")
        packed = try item.problem.pack(w.address, type: types.w, mask: bits, pattern: pattern)
    }

    private static func mask(
        _ w: UnsafeRawPointer, _ type: ht_dtype, _ o: Int, _ k: Int, _ pattern: Pattern,
        _ bits: UnsafeMutablePointer<UInt8>
    ) -> ht_status {
        let (n, m) = (pattern.n, pattern.m)
        let (floats, halves) = (w.assumingMemoryBound(to: Float.self), w.assumingMemoryBound(to: UInt16.self))
        return switch type {
        case HT_DTYPE_F32: ht_nm_mask_f32(o, k, n, m, floats, 0, bits, 0, nil)
        case HT_DTYPE_F16: ht_nm_mask_f16(o, k, n, m, halves, 0, bits, 0, nil)
        case HT_DTYPE_BF16: ht_nm_mask_bf16(o, k, n, m, halves, 0, bits, 0, nil)
        default: ht_nm_mask_i8(o, k, n, m, w.assumingMemoryBound(to: Int8.self), 0, bits, 0, nil)
        }
    }
}

/// A product ready to be timed.
final class PlanProduct {
    private let problem: Problem
    private let weights: PlanWeights
    private let x: Memory
    private let y: Memory
    private let scratch: Memory
    private var options: ht_options

    init(_ plan: PlanCase, _ weights: PlanWeights) throws {
        self.weights = weights
        problem = plan.problem
        let t = plan.shape.t
        x = try randomNumbers(t * weights.k, type: weights.types.x, seed: 2)
        y = try Memory(bytes: t * weights.o * 4)
        options = plan.options
        scratch = try problem.scratch(weights.packed, options)
        options.scratch = scratch.address
        options.scratch_size = scratch.bytes
    }

    /// The shortest of the samples that fit in so many seconds, at least three, for one call. Short calls are timed
    /// together, for the clock's sake. On one thread only the time counts in which it had a CPU.
    func seconds(budget: Double) throws -> Double {
        let clock = options.threads == 1 ? htb_thread_seconds : htb_seconds
        func sample(_ calls: Int) throws -> Double {
            let start = clock()
            for _ in 0..<calls { try run() }
            return (clock() - start) / Double(calls)
        }
        try run()
        let begin = clock()
        var shortest = try sample(1)
        let calls = max(1, min(1000, Int(Self.shortestSample / max(shortest, 1e-8))))
        var samples = 0
        repeat {
            shortest = min(shortest, try sample(calls))
            samples += 1
        } while samples < 3 || clock() - begin < budget
        return shortest
    }

    private static let shortestSample = 40e-6

    private func run() throws {
        try check(
            problem.run(from: (x.address, 0), packed: weights.packed, to: (y.address, 0), &options),
            "running the product")
    }
}

/// Normal numbers of a type of activations or weights; those of 8 bits with a deviation of 40.
private func randomNumbers(_ count: Int, type: ht_dtype, seed: UInt64) throws -> Memory {
    let floats = try FloatMatrix(rows: 1, columns: count)
    htb_fill_normal(floats.data, count, seed, 1)
    let memory = try Memory(bytes: count * ht_dtype_size(type))
    for (index, value) in floats.values.enumerated() {
        switch type {
        case HT_DTYPE_F32: memory.address.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
        case HT_DTYPE_F16:
            // Sign, five bits of exponent, ten of fraction: normal values from 2^-14 to 2^15 without rounding.
            let bits = value.bitPattern
            let exponent = min(max(Int(bits >> 23 & 0xff) - 112, 1), 30)
            let half = UInt16(bits >> 16 & 0x8000) | UInt16(exponent) << 10 | UInt16(bits >> 13 & 0x3ff)
            memory.address.storeBytes(of: half, toByteOffset: index * 2, as: UInt16.self)
        case HT_DTYPE_BF16:
            memory.address.storeBytes(of: UInt16(value.bitPattern >> 16), toByteOffset: index * 2, as: UInt16.self)
        case HT_DTYPE_U8:
            memory.address.storeBytes(
                of: UInt8(min(255, max(0, value * 40 + 128))), toByteOffset: index, as: UInt8.self)
        default:
            memory.address.storeBytes(of: Int8(min(127, max(-128, value * 40))), toByteOffset: index, as: Int8.self)
        }
    }
    return memory
}
