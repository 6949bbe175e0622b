import Alerting
import Configuration
import Control
import Ingest
import LineFormats
import Platform
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// The life of streams over the control socket: forget, reset, rename, mute.
extension PeopleHandlers {
    func changeStreams(_ request: ControlRequest, _ by: String) throws -> JSONValue {
        let arguments = request.arguments
        guard let glob = arguments["stream"]?.text, !glob.isEmpty else {
            throw ControlError.badRequest("\(request.command) wants a stream")
        }
        let isDry = arguments["dry_run"]?.truth ?? false
        switch request.command {
        case "streams.mute": return try mute(glob, arguments, by, isDry)
        case "streams.unmute": return try unmute(glob, by, isDry)
        default: break
        }
        let all = try open().streams()
        let exact = all.filter { String(decoding: $0.key, as: UTF8.self) == glob }
        let found = exact.isEmpty ? all.filter { Glob.matches(glob, String(decoding: $0.key, as: UTF8.self)) } : exact
        guard !found.isEmpty else { throw ControlError.failed("no stream \(glob); `rnnctl streams list` shows all") }
        if request.command == "streams.rename" { return try rename(found, arguments, all, isDry) }
        let isForget = request.command == "streams.forget"
        let acts = found.map { isForget ? IntakeAct.forget(stream: $0.id, key: $0.key) : .reset(stream: $0.id, key: $0.key) }
        if !isDry { try pipeline.acts.act(acts, through: pipeline.ingest, timeoutSeconds: 60) }
        if !isDry { pipeline.stepsStored() }
        let word = isForget ? "forgotten" : "learns anew"
        return result(found.map { ($0.key, isDry ? "would be: \(word)" : word) })
    }

    private func result(_ rows: [(key: [UInt8], text: String)]) -> JSONValue {
        ControlProtocol.result(
            RecordTable(
                columns: ["stream", "result"],
                rows: rows.map { [.string(String(decoding: $0.key, as: UTF8.self)), .string($0.text)] }))
    }

    private func rename(
        _ found: [StoreReader.StoredStream], _ arguments: JSONValue, _ all: [StoreReader.StoredStream], _ isDry: Bool
    ) throws -> JSONValue {
        guard found.count == 1, let stream = found.first else {
            throw ControlError.badRequest("\(found.count) streams match; rename one at a time")
        }
        guard let wanted = arguments["to"]?.text, !wanted.isEmpty else {
            throw ControlError.badRequest("streams.rename wants a new name: to")
        }
        let key = try PeopleHandlers.canonical(wanted)
        let name = String(decoding: key, as: UTF8.self)
        guard key != stream.key else { throw ControlError.failed("it has that name already") }
        let isTaken = all.contains { $0.key == key }
        guard !isTaken || arguments["replace"]?.truth ?? false else {
            throw ControlError.failed(
                "there is a stream \(name) already; with --replace it is forgotten, and this one goes on under its name with what it learned"
            )
        }
        let word = isTaken ? "renamed to \(name), which was forgotten" : "renamed to \(name)"
        if isDry { return result([(stream.key, "would be: \(word)")]) }
        try pipeline.acts.act([.rename(stream: stream.id, key: stream.key, to: key)], through: pipeline.ingest)
        pipeline.stepsStored()
        return result([(stream.key, word)])
    }

    /// A stream's name as lines of the line protocol give it: tags in order.
    static func canonical(_ text: String) throws -> [UInt8] {
        var parser = LineParser(format: .influx)
        let line = Array((text + " x=1 1").utf8)
        let expected = "expected a name such as pump,site=a"
        do {
            return try line.withUnsafeBufferPointer { bytes throws(LineError) -> [UInt8]? in
                try parser.parse(bytes)
                return parser.readings.count == 1 ? Array(try parser.readings.canonicalKey(0)) : nil
            }.orThrow(ControlError.badRequest("to: got \"\(text)\", \(expected)"))
        } catch let error as LineError {
            throw ControlError.badRequest("to: got \"\(text)\", \(expected) (\(error))")
        }
    }

    private func mute(_ glob: String, _ arguments: JSONValue, _ by: String, _ isDry: Bool) throws -> JSONValue {
        let now = Clocks.wall()
        let keys = try open().streams().map(\.key).filter { Glob.matches(glob, String(decoding: $0, as: UTF8.self)) }
        if !isDry {
            var silence = Silence(
                id: silenceID(now), form: .mute, scope: SilenceScope(streams: [glob]), startsAt: now, by: by, createdAt: now)
            silence.comment = try text(arguments)
            _ = try add(silence, now)
        }
        let word = "nobody is told of it until `rnnctl streams unmute`"
        return result(keys.isEmpty ? [(Array(glob.utf8), "no stream has such a name yet; \(word)")] : keys.map { ($0, word) })
    }

    private func unmute(_ glob: String, _ by: String, _ isDry: Bool) throws -> JSONValue {
        let now = Clocks.wall()
        let mutes = pipeline.silences.all().filter { silence in
            silence.form == .mute && !silence.isOver(at: now)
                && (silence.scope.streams == [glob] || silence.scope.streams.allSatisfy { Glob.matches(glob, $0) })
        }
        guard !mutes.isEmpty else { throw ControlError.failed("nothing is muted as \(glob); `rnnctl silence list` shows what is") }
        if !isDry {
            let ids = mutes.map(\.id)
            try change { store throws(StoreError) in for id in ids { _ = try store.endSilence(id, by: by, now: now) } }
            try silencesChanged()
        }
        return result(
            mutes.map { (Array($0.scope.streams.joined(separator: " ").utf8), isDry ? "would be told of again" : "told of again") })
    }
}

extension Optional {
    fileprivate func orThrow(_ error: ControlError) throws -> Wrapped {
        guard let self else { throw error }
        return self
    }
}
