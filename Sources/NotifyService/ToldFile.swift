import Notification
import Platform
import Tabular
import Glibc

/// What every sink was told, in a file of lines: appended and brought to the medium after each message, rewritten when it has grown.
final class ToldFile: @unchecked Sendable {
    // Safety: locked.
    private let path: String
    private let state: Locked<(latest: [String: JSONValue], appended: Int)>
    private static let appendedMax = 2000

    /// Reads what is there; a line that was cut off by a crash is left out.
    init(directory: String) throws {
        path = directory + "/told.jsonl"
        var latest: [String: JSONValue] = [:]
        if Files.exists(path) {
            for line in try Files.read(path, bytesMax: 256 << 20).split(separator: 10) {
                guard let record = try? JSONValue.parse(Array(line)) else { continue }
                latest[ToldFile.key(record)] = record["over"]?.truth == true ? nil : record
            }
        }
        state = Locked((latest, 0))
        try state.withLock { try rewrite(&$0) }
    }

    private static func key(_ record: JSONValue) -> String { "\(record["sink"]?.text ?? "")\n\(record["group"]?.text ?? "")" }

    func book(of sink: String) -> ToldBook {
        var book = ToldBook()
        for record in state.withLock({ $0.latest }).values where record["sink"]?.text == sink { book.take(record) }
        return book
    }

    func append(_ records: [JSONValue]) throws {
        guard !records.isEmpty else { return }
        try state.withLock { state in
            for record in records { state.latest[ToldFile.key(record)] = record["over"]?.truth == true ? nil : record }
            state.appended += records.count
            if state.appended > ToldFile.appendedMax { return try rewrite(&state) }
            let file = Descriptor(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600))
            guard file.raw >= 0 else { throw PlatformError.last("open", path) }
            try writeAll(file.raw, Array(records.map { $0.compact + "\n" }.joined().utf8), object: path)
            guard fdatasync(file.raw) == 0 else { throw PlatformError.last("sync", path) }
        }
    }

    private func rewrite(_ state: inout (latest: [String: JSONValue], appended: Int)) throws {
        let text = state.latest.sorted { $0.key < $1.key }.map { $0.value.compact + "\n" }.joined()
        try Files.replace(path, with: Array(text.utf8), mode: 0o600)
        state.appended = 0
    }
}
