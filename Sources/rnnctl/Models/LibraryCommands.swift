import ArgumentParser
import Control
import ModelFiles
import Models
import Platform
import RecurrentNetwork
import Store
import Tabular
import WatchService

/// How models of the store are reached: through the running daemon, or in a state directory that no daemon uses.
extension TargetOptions {
    /// A change: by the daemon, its one writer, or here with the directory locked.
    func change(_ command: String, _ arguments: JSONValue, offline: (StoreWriter) throws -> JSONValue) throws -> JSONValue {
        guard let stateDir else { return try ControlClient(path: controlSocket ?? TargetOptions.standardSocket).ask(command, arguments) }
        let path = try TargetOptions.database(stateDir)
        let lock: DirectoryLock
        do { lock = try DirectoryLock(path: stateDir + "/lock") } catch {
            throw ControlError.failed("\(error); use --control-socket to reach the daemon that works there")
        }
        let result = try offline(try StoreWriter(path: path, durability: .always, now: Clocks.wall()))
        _ = consume lock
        return result
    }

    /// The bytes of a stored version.
    func fetchModel(_ name: String) throws -> (row: JSONValue, bytes: [UInt8]) {
        if let stateDir {
            let found = try ModelLibrary.payload(name, try StoreReader(path: try TargetOptions.database(stateDir)))
            return (ModelLibrary.object(found.row), found.bytes)
        }
        let client = try ControlClient(path: controlSocket ?? TargetOptions.standardSocket)
        var bytes: [UInt8] = []
        while true {
            let answer = try client.ask("model.fetch", .object(["name": .string(name), "offset": .integer(Int64(bytes.count))]))
            guard let row = answer["model"], let size = answer["size"]?.integerValue, let data = answer["data"]?.text.flatMap(Base64.decode)
            else {
                throw ControlError.failed("the daemon's answer is no piece of a model")
            }
            bytes += data
            if bytes.count >= Int(size) || data.isEmpty {
                guard let hash = row["sha256"]?.text, hash == Digest.sha256(bytes) else {
                    throw ControlError.failed("model \(name) changed or was damaged on the way; try again")
                }
                return (row, bytes)
            }
        }
    }
}

struct ModelList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List stored models with their versions.",
        discussion: "EXAMPLE\n  rnnctl --state-dir /var/lib/rnn-watchd model list --format json")
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        let result = try target.ask("model.list") { ControlProtocol.result(try ModelLibrary.list($0)) }
        // People see the columns that fit a terminal.
        let shown = ["name", "version", "active", "streams", "architecture", "bytes", "created_at", "origin"]
        let isTable = format.format == .table
        try format.printRows(isTable ? ControlProtocol.result(RecordTable(columns: shown, objects: result["rows"]?.items ?? [])) : result)
    }
}

struct ModelShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a stored model: NAME (the active version, else the newest) or NAME@VERSION.",
        discussion: "EXAMPLE\n  rnnctl model show pump@2")
    @Argument(help: "NAME or NAME@VERSION.")
    var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        format.printObject(
            try target.ask("model.show", .object(["name": .string(name)])) {
                ModelLibrary.object(try ModelLibrary.find(name, among: try $0.models()))
            })
    }
}

struct ModelImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Store a model file as a new version of a name.",
        discussion: """
            The file is read completely before anything is stored; one that cannot run is refused. The same bytes again are the version that \
            is there. The bytes go over the control socket, so the daemon needs no access to the file.

            EXAMPLES
              rnnctl model import pump.safetensors
              rnnctl --state-dir ./state model import model.onnx --name pump
            """)
    @Argument(help: "A .safetensors, .onnx, .keras or .weights.h5 file.", completion: .file())
    var file: String
    @Option(name: .long, help: ArgumentHelp("Name (default: the file's).", valueName: "name"))
    var name: String?
    @Flag(name: .long, help: "Activate it at once.")
    var activate = false
    @OptionGroup var reading: ModelReadArguments
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        var bytes = try Files.read(file, bytesMax: ModelReadArguments.fileBytesMax)
        let document = try reading.document(bytes, name: file)
        // What the bytes alone do not say must not be lost: then the model is stored as safetensors, which can say it.
        let needsRewriting =
            try reading.isGiven || document.format == .keras || document.format == .onnx && !ONNX.externalFiles(in: bytes).isEmpty
        if needsRewriting {
            bytes = Safetensors.writeModel(document.model, metadata: document.card.map { [ModelCard.metadataKey: $0.json] } ?? [:])
        }
        let base = file.split(separator: "/").last.map(String.init) ?? file
        let stem = name ?? String(base.prefix(upTo: base.lastIndex(of: ".") ?? base.endIndex))
        let origin = "import of \(base)"
        let hash = Digest.sha256(bytes)
        var row: JSONValue
        if target.stateDir != nil {
            row = try target.change("", .null) {
                try ModelLibrary.add(name: stem, bytes: bytes, origin: origin, to: $0, now: Clocks.wall())
            }
        } else {
            let client = try ControlClient(path: target.controlSocket ?? TargetOptions.standardSocket)
            // A request is at most 64 KiB.
            for offset in stride(from: 0, to: bytes.count, by: 40_000) {
                let piece = bytes[offset..<min(bytes.count, offset + 40_000)]
                _ = try client.ask(
                    "model.upload",
                    .object([
                        "sha256": .string(hash), "size": .integer(Int64(bytes.count)), "offset": .integer(Int64(offset)),
                        "data": .string(Base64.encode(piece)),
                    ]))
            }
            row = try client.ask("model.import", .object(["name": .string(stem), "sha256": .string(hash), "origin": .string(origin)]))
        }
        if activate {
            let version = "\(stem)@\(row["version"]?.integerValue ?? 0)"
            row = try target.change("model.activate", .object(["name": .string(version)])) {
                try ModelLibrary.activate(version, in: $0, now: Clocks.wall())
            }
        }
        format.printObject(row)
    }
}

struct ModelActivate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "activate", abstract: "Make a version the one that counts: NAME (the newest) or NAME@VERSION.",
        discussion: "EXAMPLE\n  rnnctl model activate pump@3")
    @Argument(help: "NAME or NAME@VERSION.")
    var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        format.printObject(
            try target.change("model.activate", .object(["name": .string(name)])) {
                try ModelLibrary.activate(name, in: $0, now: Clocks.wall())
            })
    }
}

struct ModelRollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Make the version that was active before active again.",
        discussion: "EXAMPLE\n  rnnctl model rollback pump")
    @Argument(help: "NAME.")
    var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        format.printObject(
            try target.change("model.rollback", .object(["name": .string(name)])) { try ModelLibrary.rollBack(name, in: $0) })
    }
}

struct ModelRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a version (NAME@VERSION) or with --all every version of a name.",
        discussion: "EXAMPLES\n  rnnctl model remove pump@1\n  rnnctl model remove pump --all")
    @Argument(help: "NAME or NAME@VERSION.")
    var name: String
    @Flag(name: .long, help: "Every version, the active one too.")
    var all = false
    @OptionGroup var target: TargetOptions

    func run() throws {
        let gone = try target.change("model.remove", .object(["name": .string(name), "all": .bool(all)])) {
            try ModelLibrary.remove(name, all: all, in: $0)
        }
        FileOutput.error("removed \(gone.integerValue ?? 0) \(gone.integerValue == 1 ? "version" : "versions")")
    }
}
