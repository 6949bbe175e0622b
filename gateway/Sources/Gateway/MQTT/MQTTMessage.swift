import LineFormats
import WireFormats

/// What a message becomes: `topic {JSON}`, `topic value`, or lines that name themselves.
enum MQTTMessage {
    /// Adds the lines of a message to `batch`; what is no reading is its refusal or passed over.
    /// - retained: the broker kept it; of unknown age, so that only a payload with a time of its own is a reading.
    static func read(topic: String, payload: UnsafeRawBufferPointer, retained: Bool, into batch: inout LineBatch) {
        var line: [UInt8] = []
        let first = payload.first { $0 > 32 }
        // A number alone, or a JSON object, belongs to the topic; anything else is a line of its own.
        let isNumber = first.map { (48...57).contains($0) || $0 == 43 || $0 == 45 || $0 == 46 } ?? false
        if first == 123 || isNumber {
            var name = topic
            name.withUTF8 { _ = escape($0, into: &line) }
            line.append(32)
        }
        line.append(contentsOf: payload)
        // A payload may be spread over several lines when it is one object.
        if first == 123 { for index in line.indices where line[index] == 10 || line[index] == 13 { line[index] = 32 } }
        if retained, !hasTime(line) { return batch.pass() }
        try? line.withUnsafeBytes { try TextLines.read($0, .init(), into: &batch) }
    }

    private static func escape(_ name: UnsafeBufferPointer<UInt8>, into out: inout [UInt8]) -> Bool {
        for byte in name {
            guard byte >= 32, byte != 127 else { return false }
            if byte == 44 || byte == 32 || byte == 61 || byte == 92 { out.append(92) }
            out.append(byte)
        }
        return true
    }

    private static func hasTime(_ line: [UInt8]) -> Bool {
        var parser = LineParser()
        return line.withUnsafeBufferPointer { bytes in
            guard (try? parser.parse(bytes)) != nil, parser.readings.count > 0 else { return false }
            return parser.readings.time(0) != nil
        }
    }
}
