import Readings

/// A client that is connected while the daemon restarts: the socket and what was read of its present line.
///
/// At an orderly stop the ingest thread reads what waits, everything is stored, and the rest of each connection is handed to
/// the next process, so that the client notices nothing and no line is torn.
public struct OpenClient: Sendable, Equatable {
    public var descriptor: Int32
    /// `ingest process 123`, for messages.
    public var name: String
    /// Bytes of a line whose end has not come yet.
    public var carry: [UInt8] = []
    /// The rest of a line that is too long is skipped.
    public var isSkipping = false
    /// Lines so far.
    public var lines: Int64 = 0
    /// Set for a client that numbers its lines.
    public var producer: String?
    /// The sequence of its last line on this connection.
    public var position: Int64 = 0
    /// Answers that the client has not taken yet.
    public var outgoing: [UInt8] = []

    public init(descriptor: Int32, name: String) {
        (self.descriptor, self.name) = (descriptor, name)
    }

    private static let version: UInt8 = 1
    private static let clientsMax = 1 << 16

    /// The names under which `encode` lists clients, in order.
    public static func label(_ index: Int) -> String { "client-\(index)" }

    /// All but the descriptors, in order.
    public static func encode(_ clients: [OpenClient]) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(version)
        writer.varint(UInt64(clients.count))
        for client in clients {
            writer.text(client.name)
            writer.blob(client.carry)
            writer.byte(client.isSkipping ? 1 : 0)
            writer.signed(client.lines)
            writer.text(client.producer ?? "")
            writer.signed(client.position)
            writer.blob(client.outgoing)
        }
        return writer.bytes
    }

    /// Reads what `encode` wrote; `descriptors` are found by label. A client without a descriptor is left out.
    /// - Errors: the bytes are of another version or damaged.
    public static func decode(_ bytes: [UInt8], descriptors: [String: Int32]) throws(CodingError) -> [OpenClient] {
        var reader = ByteReader(bytes)
        guard try reader.byte() == version else { throw CodingError(offset: 0, expected: "version \(version)") }
        var clients: [OpenClient] = []
        for index in 0..<(try reader.count(max: clientsMax, "clients")) {
            var client = OpenClient(descriptor: -1, name: try reader.text())
            client.carry = try reader.blob()
            client.isSkipping = try reader.byte() == 1
            client.lines = try reader.signed()
            let producer = try reader.text()
            client.producer = producer.isEmpty ? nil : producer
            client.position = try reader.signed()
            client.outgoing = try reader.blob()
            guard let descriptor = descriptors[label(index)] else { continue }
            client.descriptor = descriptor
            clients.append(client)
        }
        return clients
    }
}
