import ArgumentParser
import Control
import Glibc
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
        guard !Files.exists(file) else { throw ControlError.failed("cannot back up to \(file): it exists") }
        let full = file.hasPrefix("/") ? file : (Files.currentDirectory() + "/" + file)
        _ = try target.ask("backup", .object(["file": .string(full)])) { reader in
            try reader.backup(to: full)
            return .bool(true)
        }
        guard Files.exists(full) else {
            throw ControlError.failed(
                "cannot find \(full): the daemon wrote it into a directory of its own (its service is sealed); as root use: rnnctl --state-dir /var/lib/rnn-watchd backup \(file)"
            )
        }
        FileOutput.error("backed up to \(file) (\(Files.size(file)) bytes)")
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
        let copy = path + ".restored"
        Files.remove(copy)
        try StoreReader(path: file).backup(to: copy)
        Files.adoptOwner(copy, of: directory)
        // A kill at any place leaves the old database under its name or the new one, never none: a daemon that starts then
        // must not begin anew.
        if Files.exists(path) {
            // Moves the write-ahead log into the file, so that the kept copy is whole; a damaged one is kept as it is.
            do { try StoreWriter(path: path, durability: .always, now: Clocks.wall()).compact() } catch {
                FileOutput.error("the database that was there is kept as it is: \(error)")
            }
            for suffix in ["", "-wal"] {
                Files.remove(path + ".before" + suffix)
                guard !Files.exists(path + suffix) || link(path + suffix, path + ".before" + suffix) == 0 else {
                    throw PlatformError.last("keep", path + suffix)
                }
            }
            Files.remove(path + "-wal")
            Files.remove(path + "-shm")
        }
        try Files.put(copy, at: path)
        _ = consume lock
        FileOutput.error("restored \(path) from \(file)")
    }
}
