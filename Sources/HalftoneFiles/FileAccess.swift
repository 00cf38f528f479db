import Foundation

/// Reading and writing whole files, with the system's errors turned into ``FileError``.
enum FileAccess {
    /// The contents of the file at `path`, mapped read-only into memory: pages are read when they are touched.
    static func map(_ path: String) throws(FileError) -> Data {
        do {
            return try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        } catch {
            throw .cannotRead(path: path, reason: reason(of: error))
        }
    }

    /// Puts a file with these bytes at `path`, replacing any that is there.
    ///
    /// The bytes go to a temporary file in the same folder, which is then renamed: a reader sees the old file or the
    /// new one, never a part, and a failure leaves the old file as it was and no temporary file.
    static func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
        do {
            try bytes.withUnsafeBytes { raw in
                try borrowedData(raw).write(to: URL(fileURLWithPath: path), options: .atomic)
            }
        } catch {
            throw .cannotWrite(path: path, reason: reason(of: error))
        }
    }

    /// The system's own words where Foundation passes them on; its outer error may give no more than a number.
    private static func reason(of error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? any Error
        return (underlying ?? error).localizedDescription
    }

    /// `raw` as `Data` without a copy, for use within the lifetime of `raw` only.
    private static func borrowedData(_ raw: UnsafeRawBufferPointer) -> Data {
        guard let base = raw.baseAddress, !raw.isEmpty else { return Data() }
        return Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: base), count: raw.count, deallocator: .none)
    }
}
