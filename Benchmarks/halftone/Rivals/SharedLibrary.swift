import Foundation

/// A library that `dlopen` loaded. It stays loaded: its threads may outlive any use of it.
struct SharedLibrary {
    let name: String
    private let handle: UnsafeMutableRawPointer

    /// Loads the file that the environment variable `variable` names, or else the first of `names` that there is.
    init(variable: String, names: [String], hint: String) throws {
        let wish = ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        for name in wish.map({ [$0] }) ?? names {
            if let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) {
                self.handle = handle
                self.name = name
                return
            }
        }
        if let wish {
            let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
            throw ToolError("\(variable) names '\(wish)', which cannot be loaded: \(reason)")
        }
        throw NotInstalled(description: hint)
    }

    /// The function of this name, or `nil`. `Function` must be its C signature.
    func function<Function>(_ name: String, as type: Function.Type) -> Function? {
        dlsym(handle, name).map { unsafeBitCast($0, to: type) }
    }

    func required<Function>(_ name: String, as type: Function.Type) throws -> Function {
        guard let function = function(name, as: type) else {
            throw NotInstalled(description: "\(self.name) has no function \(name); another version is needed")
        }
        return function
    }
}
