// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "example",
    dependencies: [
        // A package of your own names the repository's address here; `run` names a clone of this one.
        .package(url: Context.environment["HALFTONE_URL"] ?? "", from: "0.6.0")
    ],
    targets: [
        .executableTarget(name: "example", dependencies: [.product(name: "Halftone", package: "halftone")])
    ]
)
