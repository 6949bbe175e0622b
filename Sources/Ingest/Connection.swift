/// One open source of lines.
final class Connection {
    let descriptor: Int32
    let name: String
    /// What it is counted under: the socket, or the file.
    let source: SourceTally
    let isFile: Bool
    /// The user at the other end, as the kernel says; 65534 when it does not.
    let user: UInt32
    /// Bytes of a line whose end has not come yet.
    var carry: [UInt8] = []
    /// Lines of line protocol whose quoted string has not ended yet: a client may write a line end inside one. Counted already.
    var openLines: [[UInt8]] = []
    /// Number of the first of them.
    var openFrom: Int64 = 0
    /// The rest of a line that is too long is skipped.
    var isSkipping = false
    /// It greeted wrongly: nothing more is taken from it, and it is closed once it was told.
    var isRefused = false
    var lines: Int64 = 0
    /// Bytes that are read at one turn: few of who brings many new streams, which cost much more than readings.
    var turnBytes = Connection.turnBytesMax
    var lastReadAt: Int64
    /// Set once the client asked for acknowledgements.
    var producer: Producer?
    /// It asked for the checksum of what is stored, and is told once nothing of its producer is on its way.
    var awaitsChecksum = false
    var outgoing: [UInt8] = []
    /// The newest acknowledgement that found no room in `outgoing`: told as soon as its client has read.
    var owed: Int64?
    var csv: CSVState = .undecided

    enum CSVState {
        case undecided, no, rows
    }

    static let turnBytesMax = 256 << 10
    static let turnBytesMin = 8 << 10

    static let unknownUser: UInt32 = 65_534

    /// Whether what comes next begins with a line that needs no more than parsing: it was greeted, nothing is left of a line before, and it
    /// is no CSV file.
    var maySendUsual: Bool {
        lines > 0 && carry.isEmpty && openLines.isEmpty && !isSkipping && !isRefused && (!isFile || csv == .no)
    }

    init(descriptor: Int32, name: String, source: SourceTally, isFile: Bool, user: UInt32 = Connection.unknownUser, now: Int64) {
        (self.descriptor, self.name, self.source, self.isFile, self.user, lastReadAt) = (descriptor, name, source, isFile, user, now)
    }
}
