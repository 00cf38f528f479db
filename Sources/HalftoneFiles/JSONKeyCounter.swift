import Foundation

/// Counts the keys that a JSON text writes out.
///
/// A JSON decoder keeps one of several equal keys and says nothing. Comparing this count with the number of keys that
/// the decoder found tells whether it dropped any.
enum JSONKeyCounter {
    /// The number of keys in objects down to `maximumDepth`, where the outermost object or array has depth 1.
    ///
    /// - Parameter json: valid JSON in UTF-8. In such a text every colon outside a string follows a key.
    static func count(in json: Data, maximumDepth: Int) -> Int {
        var count = 0
        var depth = 0
        var isInString = false
        var isEscaped = false
        for byte in json {
            if isInString {
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ":") where depth <= maximumDepth: count += 1
            default: break
            }
        }
        return count
    }
}
