import Detection

/// The sentences of alerts. All wording is here, so that the same thing is said the same way everywhere.
public enum Wording {
    /// What an anomaly alert tells about the reading that `verdict` judged.
    /// - Parameters:
    ///   - name: the name of a channel by its index
    ///   - context: recent readings of a channel, oldest first
    public static func facts(_ verdict: borrowing Verdict, name: (UInt16) -> String, context: (UInt16) -> [ContextPoint]) -> AlertFacts {
        var channels: [ChannelVerdict] = []
        for index in 0..<verdict.channelCount { channels.append(verdict.channels[index]) }
        channels.sort { ($0.contribution, abs($0.error), UInt16.max - $0.index) > ($1.contribution, abs($1.error), UInt16.max - $1.index) }
        guard let main = channels.first else {
            return AlertFacts(channels: [], reason: "unusual readings", contributions: [], evidence: [], context: [])
        }
        // Channels that carry a fifth of what the main one carries belong to the alert.
        let carriers = channels.filter { $0.index == main.index || $0.contribution >= max(0.05, main.contribution / 5) }
        var evidence: [Contribution] = []
        for piece in Evidence.allCases {
            let result = verdict[piece]
            if result.contribution > 0 {
                evidence.append(
                    Contribution(
                        name: piece.name, share: result.contribution, note: rank(piece, reaching: result.blocksReaching, of: result.blocks))
                )
            }
        }
        evidence.sort { $0.share > $1.share }
        // What added next to nothing explains nothing.
        let least = 0.05 * (evidence.first?.share ?? 0)
        evidence.removeAll { $0.share < least }
        return AlertFacts(
            channels: carriers.map { name($0.index) }, observed: main.value, expected: main.expected, bandLow: main.bandLow,
            bandHigh: main.bandHigh, reason: sentence(main, name(main.index), verdict.kind, evidence.first),
            contributions: carriers.map { Contribution(name: name($0.index), share: $0.contribution) }, evidence: evidence,
            context: context(main.index))
    }

    /// "highest in 3,100 blocks of 25 readings", or how many were as high, and whether that is rare.
    public static func rank(_ evidence: Evidence, reaching: Double, of blocks: Double) -> String {
        switch evidence {
        case .valueRecord: return "beyond every value so far"
        case .stuck: return "one value for longer than ever"
        default: break
        }
        guard blocks > 0 else { return "" }
        let all = grouped(Int(blocks.rounded()))
        let count = Int(reaching.rounded())
        if count == 0 { return "highest in \(all) blocks of 25 readings" }
        let rank = "as high in \(grouped(count)) of \(all) blocks of 25 readings"
        return reaching > 0.2 * blocks ? "not unusual by itself: \(rank)" : rank
    }

    private static func sentence(_ main: ChannelVerdict, _ name: String, _ kind: AnomalyKind, _ evidence: Contribution?) -> String {
        let what: String
        switch kind {
        case .jump: what = "\(name) jumped to \(short(main.value))"
        case .extreme: what = "\(name) reached \(short(main.value)), outside everything seen before"
        case .level: what = "\(name) stays at an unusual level (\(short(main.value)))"
        case .drift: what = "\(name) drifts away from its prediction (now \(short(main.value)))"
        case .unpredictable: what = "\(name) no longer follows its pattern (\(short(main.value)))"
        case .pattern: what = "\(name) shows a sequence not seen before (now \(short(main.value)))"
        case .stuck: what = "\(name) repeats \(short(main.value))"
        case .none: what = "\(name) is unusual (\(short(main.value)))"
        }
        let expectation = "expected about \(short(main.expected)), usual \(short(main.bandLow)) to \(short(main.bandHigh))"
        let rank = evidence.map { $0.note.isEmpty ? "" : "; \($0.name.replacingUnderscores()) \($0.note)" } ?? ""
        return "\(what); \(expectation)\(rank)"
    }

    /// A stream that went silent.
    public static func stale(silentFor seconds: Double, usual: Double) -> String {
        "no reading for \(span(seconds)); usually one every \(span(usual)), and other streams went on"
    }

    /// All streams went silent.
    public static func allStale(streams: Int, silentFor seconds: Double) -> String {
        streams == 1 ? "no reading for \(span(seconds))" : "no reading from any of \(streams) streams for \(span(seconds))"
    }

    /// A channel that repeats itself.
    public static func stuck(_ name: String, value: Double) -> String {
        "\(name) repeats \(short(value)) far longer than it ever did"
    }

    /// `90 s`, `12 min`, `3.5 h`, `2 d`.
    public static func span(_ seconds: Double) -> String {
        if seconds < 120 { return "\(short((seconds * 10).rounded() / 10)) s" }
        if seconds < 7200 { return "\(short((seconds / 6).rounded() / 10)) min" }
        if seconds < 172_800 { return "\(short((seconds / 360).rounded() / 10)) h" }
        return "\(short((seconds / 8640).rounded() / 10)) d"
    }

    private static func grouped(_ number: Int) -> String {
        var digits = Array(String(number))
        var place = digits.count - 3
        while place > 0 {
            digits.insert(",", at: place)
            place -= 3
        }
        return String(digits)
    }

    /// As the nearest Float is written; also beyond a Float's range.
    private static func scientific(_ number: Double) -> String {
        let narrow = Float(number)
        if narrow.isNormal { return "\(narrow)" }
        var (mantissa, exponent) = (number, 0)
        while abs(mantissa) >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        while abs(mantissa) < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        return "\(Float(mantissa))e\(exponent < 0 ? "" : "+")\(exponent)"
    }

    /// About four significant digits.
    static func short(_ number: Double) -> String {
        guard number.isFinite else { return "?" }
        if number == number.rounded(), abs(number) < 1e9 { return String(Int64(number)) }
        if abs(number) >= 1e9 || abs(number) < 1e-4 { return scientific(number) }
        var scale = 1.0
        while abs(number) * scale < 1000 { scale *= 10 }
        let rounded = (number * scale).rounded() / scale
        return rounded == rounded.rounded() ? String(Int64(rounded)) : "\(rounded)"
    }
}

extension String {
    fileprivate func replacingUnderscores() -> String { String(map { $0 == "_" ? " " : $0 }) }
}
