import CHalftone
import Foundation

/// A dense library that is found when the program runs.
protocol Rival: AnyObject {
    /// The word that `--against` knows it by.
    var name: String { get }
    /// Version and kernels that it runs here, for people.
    var description: String { get }
    /// Why a comparison would flatter us: the library does not use what the CPU has. `nil` if it does.
    var shortcoming: String? { get }

    /// The ways in which it can compute the problem with dense, row-major operands, everything that can be prepared
    /// being prepared.
    ///
    /// The caller keeps the operands alive as long as the forms.
    func forms(_ problem: Problem, _ operands: Operands) throws -> [RivalForm]
    /// Whether it has the operation for these types.
    func offers(_ operation: Operation, _ kind: ProductKind) -> Bool
}

/// One way to call a rival. Each is a contender of its own, and the fastest counts.
struct RivalForm {
    let config: String
    /// As that of the rival, where it is known for a form only.
    var shortcoming: String?
    let run: () throws -> Void
}

/// The libraries `--against` asks for that are here, and a sentence about each that is not.
struct Rivals {
    private(set) var found: [any Rival] = []
    private(set) var notes: [String] = []

    static let names = ["openblas", "onednn"]

    init(names: [String], threads: Int) throws {
        for name in names {
            do {
                switch name {
                case "openblas": found.append(try OpenBLAS(threads: threads))
                case "onednn": found.append(try OneDNN(threads: threads))
                default: throw ToolError("nothing to compare with is called '\(name)'; there is openblas, onednn, none")
                }
            } catch let error as NotInstalled {
                notes.append(error.description)
            }
        }
    }
}

/// A rival that cannot be loaded, and what would change that.
struct NotInstalled: Error, CustomStringConvertible {
    let description: String
}

/// Whether the CPU has the AVX-512 subsets that dense f32 kernels use.
var cpuHasAVX512: Bool { cpuFeatures.contains("avx512f") && cpuFeatures.contains("avx512vl") }
var cpuHasAVX2: Bool { cpuFeatures.contains("avx2") && cpuFeatures.contains("fma") }
