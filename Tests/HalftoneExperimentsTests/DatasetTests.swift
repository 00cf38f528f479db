import Foundation
import Testing

@testable import HalftoneExperiments

@Suite struct DatasetTests {
    @Test func readsTheDigits() throws {
        let data = try Dataset(folder: nil)
        #expect(data.training.count == 1200)
        #expect(data.test.count == 597)
        for images in [data.training, data.test] {
            #expect(images.pixels.count == images.count * 64)
            #expect(images.pixels.allSatisfy { 0...1 ~= $0 })
            #expect(Set(images.labels).count == Dataset.classes)
        }
        // The first line of the file: 0,0,5,13, ... of a zero.
        #expect(data.training.pixels[2] == 5.0 / 16)
        #expect(data.training.labels[0] == 0)
    }

    private func file(_ header: [UInt8], _ bytes: [UInt8]) -> Data { Data(header + bytes) }

    @Test func readsTheFormatOfMNIST() throws {
        let pixels = file([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], [0, 255, 51, 0])
        let labels = file([0, 0, 8, 1, 0, 0, 0, 2], [7, 9])
        let images = try Images(
            images: IDXFile(pixels, dimensions: 3, name: "a"), labels: IDXFile(labels, dimensions: 1, name: "b"))
        #expect((images.height, images.width) == (1, 2))
        #expect(images.pixels == [0, 1, 0.2, 0])
        #expect(images.labels == [7, 9])
    }

    @Test func refusesOtherFiles() {
        let short = file([0, 0, 8, 1, 0, 0, 0, 2], [7])
        let wide = file([0, 0, 8, 1, 255, 255, 255, 255], [7])
        let shorts = file([0, 0, 11, 1, 0, 0, 0, 1], [7, 0])
        for content in [short, wide, shorts, Data()] {
            #expect(throws: ExperimentError.self) { try IDXFile(content, dimensions: 1, name: "a") }
        }
        #expect(throws: ExperimentError.self) { try Images(digits: "1,2,3") }
    }
}
