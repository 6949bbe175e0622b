import Glibc

/// What standard output is.
enum Terminal {
    /// Columns of the terminal on standard output; nil when it is a file or a pipe.
    static func columns() -> Int? {
        var size = winsize()
        guard isatty(1) == 1, ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
