import Foundation

/// A number with a fixed count of decimals.
func fixed(_ value: Double, _ decimals: Int) -> String {
    String(format: "%.\(decimals)f", value)
}

/// A duration in microseconds with three or more significant digits.
func microseconds(_ seconds: Double) -> String {
    let value = seconds * 1e6
    return fixed(value, value < 10 ? 2 : value < 1000 ? 1 : 0)
}

func milliseconds(_ seconds: Double) -> String {
    fixed(seconds * 1e3, 3)
}

/// An error such as `3.1e-08`.
func scientific(_ value: Double) -> String {
    String(format: "%.1e", value)
}

func giga(_ value: Double) -> String {
    fixed(value * 1e-9, value < 1e10 ? 2 : value < 1e12 ? 1 : 0)
}
