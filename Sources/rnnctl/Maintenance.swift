import ArgumentParser
import Control
import Glibc
import Models
import Platform
import Readings
import Store
import Tabular
import WatchService

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy the database in one consistent state, also while the daemon runs.",
        discussion: "EXAMPLES\n  rnnctl --state-dir /var/lib/rnn-watchd backup /mnt/usb/rnn-watchd.db")
    @Argument(help: "The new file; it must not exist.", completion: .file())
    var file: String
    @OptionGroup var target: TargetOptions

    func run() throws {
        let full = file.hasPrefix("/") ? file : (Files.currentDirectory() + "/" + file)
        if let directory = target.stateDir {
            let path = try TargetOptions.database(directory)
            guard !Files.isInside(full, directory) else { throw Backups.inside(full, directory) }
            try StoreReader(path: path).backup(to: full)
        } else {
            try copy(from: try ControlClient(path: target.controlSocket ?? TargetOptions.standardSocket), to: full)
        }
        FileOutput.error("backed up to \(file) (\(Files.size(file)) bytes)")
    }

    /// The daemon makes a copy without a name and reads it out; the file is written here, with the rights of whoever asks.
    private func copy(from client: borrowing ControlClient, to path: String) throws {
        let making = try NewFile.beside(path)
        let begun = try client.ask("backup.begin")
        guard let id = begun["id"], let size = begun["size"]?.integerValue else { throw ControlError.failed("the daemon made no copy") }
        var (offset, checksum) = (Int64(0), UInt32(0))
        while offset < size {
            let piece = try client.ask("backup.read", .object(["id": id, "offset": .integer(offset)]))
            guard let bytes = piece["data"]?.text.flatMap(Base64.decode), !bytes.isEmpty else {
                throw ControlError.failed("the daemon's copy ended at byte \(offset) of \(size)")
            }
            try writeAll(making.file.raw, bytes, object: path)
            checksum = CRC32C.checksum(bytes, before: checksum)
            offset += Int64(bytes.count)
            if piece["checksum"].map({ $0.integerValue != Int64(checksum) }) ?? (offset >= size) {
                throw ControlError.failed("the bytes of the copy were damaged on their way")
            }
        }
        try making.publish(at: path)
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the database, every checkpoint and every journal row. Exit code 3 when there are problems.",
        discussion: "EXAMPLES\n  rnnctl --state-dir /var/lib/rnn-watchd check")
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        let result = try target.ask("check") { ControlProtocol.result(try OfflineState.check($0)) }
        guard let table = ControlProtocol.table(result) else { throw ControlError.failed("the answer is no table") }
        if table.rows.isEmpty, format.format == .table {
            FileOutput.error("no problems")
        } else {
            FileOutput.output(table.text(format.format))
        }
        if !table.rows.isEmpty { throw ExitCode(3) }
    }
}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a backup in place of the database; the daemon must not run.",
        discussion:
            "EXAMPLES\n  rnnctl --state-dir /var/lib/rnn-watchd restore /mnt/usb/rnn-watchd.db\n\nThe database that was there is kept beside it as rnn-watchd.db.before."
    )
    @Argument(help: "The backup.", completion: .file())
    var file: String
    @OptionGroup var target: TargetOptions

    func run() throws {
        guard let directory = target.stateDir else { throw ValidationError("restore wants --state-dir DIR") }
        // Holding the lock proves that no daemon works there.
        let lock = try DirectoryLock(path: directory + "/lock")
        let problems = try OfflineState.check(try StoreReader(path: file))
        guard problems.rows.isEmpty else {
            FileOutput.output(problems.text(.table))
            throw ControlError.failed("cannot restore \(file): it has the problems above")
        }
        let path = directory + "/" + Daemon.databaseName
        let copy = path + Daemon.restoringSuffix
        Files.remove(copy)
        NewFile.removeLeftovers(in: directory)
        try StoreReader(path: file).backup(to: copy)
        Files.adoptOwner(copy, of: directory)
        // A kill at any place leaves the old database under its name or the new one, never none: a daemon that starts then
        // must not begin anew.
        if Files.exists(path) {
            // Moves the write-ahead log into the file, so that the kept copy is whole; a damaged one is kept as it is.
            do { try StoreWriter(path: path, durability: .always, now: Clocks.wall()).compact() } catch {
                FileOutput.error("the database that was there is kept as it is: \(error)")
            }
            for suffix in ["", "-wal", ".displaced"] {
                Files.remove(path + ".before" + suffix)
                guard !Files.exists(path + suffix) || link(path + suffix, path + ".before" + suffix) == 0 else {
                    throw PlatformError.last("keep", path + suffix)
                }
            }
            for suffix in ["-wal", "-shm", ".displaced"] { Files.remove(path + suffix) }
        }
        try Files.put(copy, at: path)
        _ = consume lock
        FileOutput.error("restored \(path) from \(file)")
    }
}
