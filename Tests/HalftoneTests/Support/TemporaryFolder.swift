#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A new folder that goes away, with the files in it, when the last reference does.
final class TemporaryFolder {
    let path: String

    /// A folder in the system's own for such things, or in another.
    init(in parent: String? = nil) {
        let parent = parent ?? getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
        var template = Array("\(parent)/halftone-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no temporary folder in \(parent)")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { unlink(file(name)) }
        rmdir(path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The names of what is in it.
    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes a file without the library's help.
    func write(_ bytes: [UInt8], to name: String) {
        guard let stream = fopen(file(name), "wb") else { preconditionFailure("cannot write \(name)") }
        precondition(fwrite(bytes, 1, bytes.count, stream) == bytes.count)
        fclose(stream)
    }

    func read(_ name: String) -> [UInt8] {
        guard let stream = fopen(file(name), "rb") else { return [] }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, stream))
        return bytes
    }
}
