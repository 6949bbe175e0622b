import Control
import Models
import Platform
import Readings
import Store
import Tabular

/// Backups that are asked for on the control socket. The daemon writes no file for anybody who has fewer rights than itself.
public struct Backups: ~Copyable {
    private let stateDirectory: String
    private var current: Copy?
    private var number: Int64 = 0

    /// A whole copy without a name, while it is read out.
    private struct Copy: ~Copyable {
        let id: Int64
        let file: Descriptor
        let size: Int64
        /// Of the bytes before `offset`.
        var checksum: UInt32 = 0
        var offset: Int64 = 0
        var usedAt: Int64
    }
    private static let pieceBytes = 4 << 20
    /// A copy that nobody reads on gives way to another.
    private static let idleMax: Int64 = 30_000_000_000

    init(stateDirectory: String) { self.stateDirectory = stateDirectory }

    /// Why no backup goes there.
    public static func inside(_ path: String, _ directory: String) -> ControlError {
        .failed("cannot back up to \(path): it is inside the state directory \(directory), expected another place")
    }

    /// `backup`: a file of the daemon's own, only for whoever could write it without the daemon: root and the daemon's user.
    func direct(_ arguments: JSONValue, by peer: PeerCredentials?, _ reader: StoreReader) throws -> JSONValue {
        guard let file = arguments["file"]?.text, file.hasPrefix("/"), !file.utf8.contains(0) else {
            throw ControlError.badRequest("backup wants an absolute file")
        }
        guard let peer, peer.userID == 0 || peer.userID == Groups.ownUser else {
            throw ControlError.forbidden(
                "cannot back up to \(file): only root and the daemon's user may name a file; use rnnctl backup, which writes it itself")
        }
        guard !Files.isInside(file, stateDirectory) else { throw Backups.inside(file, stateDirectory) }
        try reader.backup(to: file)
        return .bool(true)
    }

    /// `backup.begin`: makes a copy that `backup.read` reads out.
    mutating func begin(_ reader: StoreReader) throws -> JSONValue {
        let now = Clocks.monotonic()
        if let usedAt = current?.usedAt, now - usedAt < Backups.idleMax {
            throw ControlError.failed("another backup is under way; try again when it is done")
        }
        current = nil
        number += 1
        let file = try reader.snapshot(in: stateDirectory)
        let size = Files.size(file)
        current = Copy(id: number, file: file, size: size, usedAt: Clocks.monotonic())
        return .object(["id": .integer(number), "size": .integer(size)])
    }

    /// `backup.read`: the next piece of a copy, in order; with the last one comes the checksum (CRC-32C) of all, and the copy is gone.
    mutating func read(_ arguments: JSONValue) throws -> JSONValue {
        guard let id = arguments["id"]?.integerValue, let offset = arguments["offset"]?.integerValue else {
            throw ControlError.badRequest("backup.read wants id and offset")
        }
        guard current?.id == id, current?.offset == offset, var copy = current.take() else {
            throw ControlError.failed("no such backup is under way, or not at this offset; begin again")
        }
        let bytes = try Files.read(copy.file, from: offset, count: Backups.pieceBytes, object: "backup")
        copy.offset += Int64(bytes.count)
        copy.checksum = CRC32C.checksum(bytes, before: copy.checksum)
        copy.usedAt = Clocks.monotonic()
        let isLast = copy.offset >= copy.size || bytes.isEmpty
        let checksum = Int64(copy.checksum)
        if !isLast { current = consume copy }
        let data = JSONValue.string(Base64.encode(bytes))
        return isLast ? .object(["data": data, "checksum": .integer(checksum)]) : .object(["data": data])
    }
}
