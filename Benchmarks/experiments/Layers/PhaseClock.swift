import Foundation

/// The parts of a training step that are timed.
enum Phase: String, CaseIterable, Codable {
    case mask, search, pack, forward, backward, gradient, update, other
}

/// How long each phase took, all steps together, in time that this thread had a core: trainings run on one thread, and
/// what else the machine does is not theirs.
final class PhaseClock {
    private(set) var seconds: [Phase: Double] = [:]
    private var inner = 0.0

    /// Runs a piece of a phase. What pieces within it take counts for these alone.
    func measure<Result>(_ phase: Phase, _ body: () throws -> Result) rethrows -> Result {
        let outer = inner
        inner = 0
        let start = Self.now
        let result = try body()
        let took = Self.now - start
        seconds[phase, default: 0] += took - inner
        inner = outer + took
        return result
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
