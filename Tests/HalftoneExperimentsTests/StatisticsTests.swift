import Testing

@testable import HalftoneExperiments

@Suite struct StatisticsTests {
    @Test func tells95PercentIntervals() {
        let sample = Sample([1, 2, 3, 4, 5])
        #expect(sample.mean == 3)
        // sqrt(2.5), and 2.776 of these over sqrt(5)
        #expect(abs((sample.deviation ?? 0) - 1.58114) < 1e-5)
        #expect(abs((sample.halfInterval ?? 0) - 1.9629) < 1e-3)
        #expect(Sample([7]).halfInterval == nil)
    }

    @Test(arguments: [(10, 2.2281), (11, 2.2010), (20, 2.0860), (60, 2.0003), (1000, 1.9623)])
    func knowsStudentsT(degrees: Int, quantile: Double) {
        #expect(abs(Sample.quantile(degrees: degrees) - quantile) < 1e-3)
    }
}
