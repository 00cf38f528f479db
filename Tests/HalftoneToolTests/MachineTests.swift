import Testing

@testable import halftone

/// What the tool says of the machine that it runs on.
@Suite struct MachineTests {
    /// A chain of additions that the CPU shortens shows a clock that no CPU has.
    @Test func theClockIsOneThatACPUCanHave() throws {
        let clock = try Machine.probed().clockHz
        #expect(clock > 0.05e9 && clock < 8e9)
    }
}
