import Glibc

/// Plain text on the standard channels.
public enum FileOutput {
    /// Writes a line on standard error.
    public static func error(_ text: String) { try? writeAll(2, Array((text + "\n").utf8), object: "standard error") }

    /// Writes text on standard output. false: the reader is gone.
    @discardableResult
    public static func output(_ text: String) -> Bool {
        do {
            try writeAll(1, Array(text.utf8), object: "standard output")
            return true
        } catch {
            return false
        }
    }
}

/// The version of this program.
public enum Version {
    public static let text = "0.1.0"
}
