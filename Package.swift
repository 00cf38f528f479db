// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Halftone",
    products: [
        .library(name: "Halftone", targets: ["Halftone"]),
        .library(name: "HalftoneFiles", targets: ["HalftoneFiles"]),
        .library(name: "CHalftone", targets: ["CHalftone"]),
        .executable(name: "halftone", targets: ["halftone"]),
        .executable(name: "halftone-experiments", targets: ["HalftoneExperiments"]),
    ],
    dependencies: [
        // Only the tools need it: it is fetched with this package, but not built for those that use the libraries.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
    ],
    targets: [
        .target(
            name: "CHalftone",
            path: "Kernels",
            exclude: [
                "README.md", "binary/README.md", "dense/README.md", "masks/README.md", "mst/README.md",
                "nm/README.md", "spre/README.md", "training/README.md",
            ],
            publicHeadersPath: "include",
            cSettings: [.headerSearchPath(".")],
            linkerSettings: [
                .linkedLibrary("m", .when(platforms: [.linux])),
                .linkedLibrary("dl", .when(platforms: [.linux])),
            ]
        ),
        .target(name: "Halftone", dependencies: ["CHalftone"]),
        .target(name: "HalftoneFiles", dependencies: ["Halftone"]),
        .target(
            name: "CHalftoneBench",
            path: "Benchmarks/support",
            exclude: ["README.md", "minilm.safetensors"],
            publicHeadersPath: "include"
        ),
        .executableTarget(
            name: "halftone",
            dependencies: [
                "CHalftone", "CHalftoneBench", "Halftone", "HalftoneFiles",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/halftone"
        ),
        .executableTarget(
            name: "HalftoneExperiments",
            dependencies: ["Halftone", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/experiments",
            exclude: ["Data/README.md"],
            resources: [.copy("Data/digits.csv")]
        ),
        .testTarget(name: "HalftoneTests", dependencies: ["CHalftone", "Halftone"]),
        .testTarget(name: "HalftoneToolTests", dependencies: ["CHalftone", "halftone"]),
        .testTarget(name: "HalftoneExperimentsTests", dependencies: ["HalftoneExperiments"]),
        .testTarget(
            name: "HalftoneFilesTests",
            dependencies: ["Halftone", "HalftoneFiles"],
            resources: [.copy("Fixtures")]
        ),
    ]
)
