#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The two things that this library does with files.
enum File {
    /// Maps a whole file read-only.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)``; ``HalftoneError/blobTruncated`` for an empty file, which cannot
    ///   be mapped.
    static func map(_ path: String) throws(HalftoneError) -> (start: UnsafeMutableRawPointer, count: Int) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path) }
        let count = Int(status.st_size)
        guard count > 0 else { throw .blobTruncated }
        let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw failure(path) }
        return (start, count)
    }

    static func unmap(_ start: UnsafeMutableRawPointer, count: Int) {
        munmap(start, count)
    }

    /// Writes a file beside its destination and renames it, so that nobody meets half of it, and a mapping of the file
    /// that was there before stays whole.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)``; then the destination is as it was.
    static func replace(_ path: String, with bytes: UnsafeRawBufferPointer) throws(HalftoneError) {
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(path) }
        // Each step only when those before it succeeded; errno is that of the first that failed.
        var error = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0 ? 0 : errno
        if close(descriptor) != 0, error == 0 { error = errno }
        if error == 0, rename(temporary, path) != 0 { error = errno }
        guard error == 0 else {
            unlink(temporary)
            throw failure(path, error)
        }
    }

    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }

    private static func failure(_ path: String, _ error: CInt = errno) -> HalftoneError {
        .file(path: path, reason: String(cString: strerror(error)))
    }
}
