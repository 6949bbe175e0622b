import Platform
import Tabular

/// The control protocol, version 1: newline-delimited JSON over a Unix stream socket.
///
/// A request is one line: `{"v":1,"command":"alerts.query","arguments":{...}}`. The answer is one line:
/// `{"v":1,"ok":true,"result":...}` or `{"v":1,"ok":false,"error":"text"}`. A table is `{"columns":[...],"rows":[{...}]}`.
/// A connection may ask again after each answer.
public enum ControlProtocol {
    public static let version: Int64 = 1
    /// Bytes of one request.
    public static let requestBytesMax = 64 << 10

    public static func request(_ command: String, _ arguments: JSONValue) -> [UInt8] {
        Array(JSONValue.object(["v": .integer(version), "command": .string(command), "arguments": arguments]).compact.utf8) + [10]
    }

    static func answer(_ result: Result<JSONValue, ControlError>) -> [UInt8] {
        let body: JSONValue
        switch result {
        case .success(let value): body = .object(["v": .integer(version), "ok": .bool(true), "result": value])
        case .failure(let error): body = .object(["v": .integer(version), "ok": .bool(false), "error": .string(error.description)])
        }
        return Array(body.compact.utf8) + [10]
    }

    /// A table as a result.
    public static func result(_ table: RecordTable) -> JSONValue {
        .object(["columns": .array(table.columns.map { .string($0) }), "rows": .array(table.objects)])
    }

    /// The table of a result.
    public static func table(_ result: JSONValue) -> RecordTable? {
        guard let columns = result["columns"]?.items?.compactMap(\.text), let rows = result["rows"]?.items else { return nil }
        return RecordTable(columns: columns, objects: rows)
    }
}

/// Why a request was not done.
public enum ControlError: Error, Sendable, CustomStringConvertible {
    /// The request is not understood.
    case badRequest(String)
    /// The peer may not ask.
    case forbidden(String)
    /// It was understood and could not be done.
    case failed(String)
    /// Nobody answers at the socket.
    case unreachable(String)

    public var description: String {
        switch self {
        case .badRequest(let text), .forbidden(let text), .failed(let text), .unreachable(let text): text
        }
    }
}
