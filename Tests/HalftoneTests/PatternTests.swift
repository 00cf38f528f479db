import Halftone
import Testing

@Suite struct PatternTests {
    @Test func keepsNAndM() throws {
        let pattern = try NMPattern(2, of: 8)
        #expect(pattern.n == 2 && pattern.m == 8)
        #expect(pattern.density == 0.25)
        #expect(pattern.sharedRows == 1)
        #expect(pattern.description == "2:8")
        let shared = try NMPattern(2, of: 8, sharedRows: 4)
        #expect(shared.sharedRows == 4 && shared != pattern)
        #expect(shared.description == "2:8:4")
        let taps = try NMPattern(2, of: 8, sharedTaps: true)
        #expect(taps.sharedTaps && taps.sharedRows == 1 && taps != pattern && !pattern.sharedTaps)
        #expect(taps.description == "2:8:taps")
    }

    @Test(arguments: [(0, 4), (5, 4), (-1, 4), (1, 65), (65, 65), (1, 0), (Int.min, Int.max), (Int.max, Int.max)])
    func refusesOthers(_ n: Int, _ m: Int) {
        #expect(throws: HalftoneError.pattern) { try NMPattern(n, of: m) }
    }

    @Test(arguments: [0, 3, 5, 16, -1, Int.max]) func refusesOtherSharedRows(_ rows: Int) {
        #expect(throws: HalftoneError.pattern) { try NMPattern(2, of: 4, sharedRows: rows) }
    }

    @Test func readsWhatItWrites() throws {
        for m in 1...64 {
            for n in 1...m {
                for rows in [1, 2, 4, 8] {
                    for taps in [false, true] {
                        let pattern = try NMPattern(n, of: m, sharedRows: rows, sharedTaps: taps)
                        #expect(NMPattern(pattern.description) == pattern)
                    }
                }
            }
        }
    }

    @Test(arguments: [
        "", ":", "2", "2:", ":4", "4:2", "0:4", "1:65", "2:4:1", "2:4:3", "2:4:", "2:4:8:8", "2/4", "a:b", "2:4 ",
        ":taps", "2:taps", "2:4:taps:taps", "2:4:taps:8", "2:4taps", "2:4:tap", "2:4:1:taps",
        "99999999999999999999:4",
    ])
    func readsNothingElse(_ text: String) {
        #expect(NMPattern(text) == nil)
    }
}
