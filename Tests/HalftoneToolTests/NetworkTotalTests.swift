import Testing

@testable import halftone

@Suite struct NetworkTotalTests {
    private let entries = [
        entry("first", ts: [1, 8], count: 3), entry("second", ts: [1, 8], count: 1),
    ]

    @Test func addsEachLayerAsOftenAsItIsThere() throws {
        let done = [
            done(0, 0, seconds: 2, openblas: 8, onednn: 6), done(0, 1, seconds: 20, openblas: 10, onednn: nil),
            done(1, 0, seconds: 5, openblas: 4, onednn: 9), done(1, 1, seconds: 30, openblas: nil, onednn: 45),
        ]
        let totals = NetworkTotal.all(entries, done)
        try #require(totals.count == 2)
        #expect(totals[0].t == 1 && totals[0].layers == 4 && totals[0].cases == 2)
        // Three of the first layer, one of the second.
        #expect(totals[0].seconds == 11)
        #expect(totals[0].denseSeconds == 22)
        #expect(totals[0].ratio == 2)
        #expect(totals[0].against.map(\.name) == ["openblas", "onednn"])
        #expect(totals[0].against.map(\.seconds) == [28.0, 27.0])
        // A library that lacks a layer has no total, but takes part in the fastest.
        #expect(totals[1].t == 8 && totals[1].seconds == 90 && totals[1].denseSeconds == 75)
        #expect(totals[1].against.isEmpty)
    }

    @Test func countsWhatIsDoubtful() throws {
        let done = [
            done(0, 0, seconds: 1, openblas: 1, verdict: "noisy"), done(0, 1, seconds: 1, openblas: 1),
            done(1, 0, seconds: 1, openblas: 1), done(1, 1, seconds: 1, openblas: 1),
        ]
        #expect(NetworkTotal.all(entries, done).map(\.doubtful) == [1, 0])
    }

    @Test func leavesOutWhatIsNotWhole() {
        let done = [done(0, 0, seconds: 1), done(0, 1, seconds: 1), done(1, 1, seconds: 1)]
        #expect(NetworkTotal.all(entries, done).map(\.t) == [8])
        let uneven = [Self.entry("first", ts: [1, 8], count: 1), Self.entry("second", ts: [1], count: 1)]
        #expect(NetworkTotal.all(uneven, done).isEmpty)
    }

    @Test func incomparableRivalsDoNotCountAsFastest() throws {
        let entries = [Self.entry("only", ts: [1], count: 1)]
        let total = NetworkTotal.all(entries, [done(0, 0, seconds: 1, openblas: 5, onednn: 2, comparable: false)])
        #expect(total.first?.denseSeconds == nil && total.first?.ratio == nil)
    }

    private static func entry(_ name: String, ts: [Int], count: Int) -> BenchPlan.Entry {
        BenchPlan.Entry(
            layer: .random(name: name, o: 16, k: 16, seed: 1), operation: .product, ts: ts, count: count)
    }

    /// Case `place` of entry `entry`; a rival without seconds has not the operation.
    private func done(
        _ entry: Int, _ place: Int, seconds: Double, openblas: Double? = nil, onednn: Double? = nil,
        comparable: Bool = true, verdict: String = "ok"
    ) -> BenchRun.Done {
        let rivals = [("openblas", openblas), ("onednn", onednn)].compactMap { name, time in
            time.map {
                RivalRecord(
                    name: name, config: "", isDense: true, secondsMin: $0, ratio: $0 / seconds, ofPeak: 1,
                    isComparable: comparable, isSteady: true)
            }
        }
        let record = CaseRecord(
            layer: "", op: "nm_gemm_f32", isa: "ref", dtype: "f32", pattern: "2:4", design: nil, o: 16, k: 16,
            t: entries[entry].ts[place], convolution: nil, threads: 1, cache: "warm", secondsMin: seconds,
            secondsMedian: seconds, runs: 5, rate: 1, peak: 1, ofPeak: 1, bytes: 1, streamRate: nil, ofStream: nil,
            aaRatio: 1, maxError: 0, errorBound: 0, keptL1: nil, outputError: nil, against: rivals, verdict: verdict)
        return BenchRun.Done(entry: entry, place: place, record: record)
    }
}
