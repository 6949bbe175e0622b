/// How what people did stands in the journal.
enum PersonalNoteCodec {
    private enum Tag: UInt8 { case close = 1, settle, reset, rename, feedback, pause }

    static func encode(_ note: PersonalNote, _ out: inout ByteWriter) {
        switch note {
        case .close(let stream, let alert, let by, let text):
            head(.close, stream, &out)
            for part in [alert, by, text] { out.text(part) }
        case .settle(let stream): head(.settle, stream, &out)
        case .reset(let stream): head(.reset, stream, &out)
        case .rename(let stream, let key):
            head(.rename, stream, &out)
            out.blob(key)
        case .feedback(let stream, let alert, let verdict, let by, let text, let at, let bar):
            head(.feedback, stream, &out)
            for part in [alert, verdict, by, text] { out.text(part) }
            out.signed(at)
            out.byte(bar == nil ? 0 : bar?.moment == nil ? 1 : 2)
            guard let bar else { return }
            out.blob(bar.channel)
            out.double(bar.points)
            out.signed(bar.fade)
            if let moment = bar.moment { out.signed(moment) }
        case .pause(let scopes):
            head(.pause, 0, &out)
            out.varint(UInt64(scopes.count))
            for scope in scopes { out.text(scope) }
        }
    }

    private static func head(_ tag: Tag, _ stream: UInt32, _ out: inout ByteWriter) {
        out.byte(tag.rawValue)
        out.varint(UInt64(stream))
    }

    static func decode(_ reader: inout ByteReader) throws(CodingError) -> PersonalNote {
        let start = reader.offset
        let tag = Tag(rawValue: try reader.byte())
        let stream = UInt32(try reader.count(max: Int(UInt32.max), "stream"))
        switch tag {
        case .close:
            return .close(stream: stream, alert: try reader.text(), by: try reader.text(), text: try reader.text())
        case .settle: return .settle(stream: stream)
        case .reset: return .reset(stream: stream)
        case .rename: return .rename(stream: stream, key: try reader.blob())
        case .feedback:
            let (alert, verdict, by, text) = (try reader.text(), try reader.text(), try reader.text(), try reader.text())
            let at = try reader.signed()
            let kind = try reader.byte()
            guard kind <= 2 else { throw CodingError(offset: start, expected: "a kind of feedback") }
            var bar: FeedbackBarNote?
            if kind > 0 {
                bar = FeedbackBarNote(channel: try reader.blob(), points: try reader.double(), fade: try reader.signed(), moment: nil)
                if kind == 2 { bar?.moment = try reader.signed() }
                guard bar?.points.isFinite == true else { throw CodingError(offset: start, expected: "a finite number of points") }
            }
            return .feedback(stream: stream, alert: alert, verdict: verdict, by: by, text: text, at: at, bar: bar)
        case .pause:
            var scopes: [String] = []
            for _ in 0..<(try reader.count(max: 65_536, "number of silences")) { scopes.append(try reader.text()) }
            return .pause(scopes)
        case nil: throw CodingError(offset: start, expected: "a kind of act")
        }
    }
}
