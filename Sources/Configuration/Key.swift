import TimeSeries

/// One setting: the only place where its name, default, meaning and unit stand. The sample file, the man page and the
/// checks are all made from `Key.all`.
public struct Key: Sendable {
    /// What its value must look like.
    public enum Kind: Sendable, Equatable {
        case text
        /// "auto", or a duration.
        case window
        /// Several of something, read by the section that has it.
        case list
        case path
        case flag
        /// A whole number within the range.
        case count(ClosedRange<Int64>)
        /// A duration such as "5min" within the range (nanoseconds).
        case duration(ClosedRange<Int64>)
        /// A size such as "64KiB" within the range (bytes).
        case size(ClosedRange<Int64>)
        /// A rate such as "1/week", or "" for none.
        case rate
        /// A time zone such as "Europe/Berlin", "system", or "UTC".
        case zone
        /// Bytes a day such as "50MB/day", or "" for none.
        case budget
        /// An octal file mode such as "0660".
        case mode
        case choice([String])

        /// What an error message says was expected.
        public var expected: String {
            switch self {
            case .text: "a string"
            case .list: "a list"
            case .window: "\"auto\" or a duration with unit such as \"10min\""
            case .path: "a path in quotes"
            case .flag: "true or false"
            case .count(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .duration(let range):
                "a duration with unit such as \"90s\" from \(TimeSpan(nanoseconds: range.lowerBound)) to \(TimeSpan(nanoseconds: range.upperBound))"
            case .size(let range): "a size with unit such as \"64KiB\" from \(range.lowerBound)B to \(range.upperBound)B"
            case .zone: "a time zone that this system knows such as \"Europe/Berlin\", \"system\" or \"UTC\""
            case .rate: "a rate such as \"1/week\", at most 1000/s, or \"\""
            case .budget: "an amount such as \"50MB/day\", at most 1e18 bytes a day, or \"\""
            case .mode: "an octal mode such as \"0660\""
            case .choice(let names): "one of " + names.map { "\"\($0)\"" }.joined(separator: ", ")
            }
        }
    }

    public let name: String
    public let kind: Kind
    /// The default as it is written in the file.
    public let standard: String
    /// One line of why.
    public let why: String
    /// Whether a reload takes it over; otherwise a restart is needed.
    public let isReloadable: Bool

    init(_ name: String, _ kind: Kind, _ standard: String, reload: Bool = false, _ why: String) {
        (self.name, self.kind, self.standard, self.why, isReloadable) = (name, kind, standard, why, reload)
    }

    private static let second: Int64 = 1_000_000_000
    private static let year: Int64 = 365 * 86400 * second

    /// Every setting of the top level in the order of the sample file.
    public static let all: [Key] = [
        Key("state_dir", .path, "/var/lib/rnn-watchd", "Where the one database file lives; systemd's StateDirectory."),
        Key(
            "ingest_socket", .path, "/run/rnn-watchd/ingest.sock",
            "Stream socket that takes lines; \"\" for none. Sockets from systemd come first."),
        Key(
            "ingest_datagram_socket", .path, "/run/rnn-watchd/ingest.dgram", "Datagram socket, one or more lines a datagram; \"\" for none."
        ),
        Key("control_socket", .path, "/run/rnn-watchd/control.sock", "Where rnnctl talks to the daemon; \"\" for none."),
        Key("socket_mode", .mode, "0660", "Mode of sockets that the daemon makes itself: owner and group only."),
        Key(
            "control_group", .text, "rnn-watchd", reload: true,
            "Members of this group, root and the daemon's own user may use the control socket."),
        Key(
            "log_level", .choice(["error", "warning", "notice", "info", "debug"]), "info", reload: true,
            "Less urgent messages are not written."),
        Key(
            "metrics_file", .path, "",
            "A Prometheus text file, rewritten every metrics_interval (for node_exporter's textfile collector); \"\" for none."),
        Key("metrics_interval", .duration(second...3600 * second), "15s", reload: true, "How often metrics_file is rewritten."),

        Key("line_bytes_max", .size(256...16 << 20), "64KiB", "A longer line is refused as line_too_long and skipped."),
        Key("streams_max", .count(1...4_000_000), "100000", "More streams are refused as streams_max and reported by an alert."),
        Key("streams_evict", .flag, "false", "true: at streams_max the stream that was silent longest makes room."),
        Key("channels_max", .count(1...4096), "256", "Channels of one stream; more are refused as channels_max."),
        Key(
            "connections_max", .count(1...4096), "256",
            "Ingest connections at the same time. For more, clients silent for 10 s make room, then those of the user with the most; others wait."
        ),
        Key(
            "producers_max", .count(1...100_000), "1000",
            "Names that the clients of one user may number lines under; the one not heard of for the longest makes room."),
        Key(
            "connection_idle_max", .duration(0...year), "0s", "A connection silent for longer is closed; 0s: never (sensors may be quiet)."),
        Key(
            "future_max", .duration(0...year), "10min", reload: true,
            "A reading dated further ahead is refused as future and never moves a stream's clock."),
        Key(
            "late_max", .window, "0s", reload: true,
            "Readings that come after newer ones are put in order when no later than this; auto: four of the stream's intervals; 0s: never."
        ),
        Key(
            "input_window", .duration(0...year), "1h", reload: true,
            "A stream or socket of which more than a tenth is lost in this time has an alert of kind input; 0s: never."),
        Key(
            "queue_batches_max", .count(4...4096), "256",
            "Full batches (512 readings) from the sockets to the journal; when so many are under way, as while the disk stands still, senders wait."
        ),

        Key("shards", .count(0...64), "0", "Detector threads that share the streams. 0: one for each processor, 8 at most."),
        Key(
            "profile", .choice(["default", "light"]), "default",
            "Size of the recurrent network per channel: default, or light for very many streams."),
        Key(
            "false_alarms", .rate, "", reload: true, "False-alarm budget per stream such as \"1/week\"; \"\" keeps the built-in threshold."),
        Key(
            "false_alarms_host", .rate, "", reload: true,
            "Budget of all streams together that have none in a section below: each gets an equal share; with false_alarms the rarer holds."
        ),
        Key(
            "timezone", .zone, "UTC", reload: true,
            "Whose hours and weekdays the streams follow, and whose clock times without a zone are: \"Europe/Berlin\"; \"system\" takes the machine's."
        ),
        Key(
            "history_blocks", .count(0...4096), "0",
            "Blocks of 25 readings of which each stream remembers the most unusual one (80 bytes a block), for rnnctl why-not; 0: 32, with the light profile 2."
        ),
        Key(
            "alert_close_after", .duration(second...year), "30min", reload: true,
            "An alert closes when its cause was gone for this long, or for 30 readings if that is longer."),
        Key(
            "stale_after", .count(2...100_000), "20", reload: true,
            "A stream silent for this many of its learned intervals (and stale_min) is stale."),
        Key("stale_min", .duration(second...year), "1min", reload: true, "No stream is called stale earlier than this."),
        Key("stuck", .flag, "true", reload: true, "Report a channel that repeats one value far longer than it ever did."),

        Key(
            "durability", .choice(["always", "interval", "none"]), "interval",
            "always: fsync before readings count as stored; interval: fsync every durability_interval; none: left to the kernel."),
        Key(
            "durability_interval", .duration(10_000_000...3600 * second), "5s", reload: true,
            "What a power cut may cost with durability = \"interval\"; acknowledgements wait for it, a crash or kill costs nothing stored."),
        Key(
            "commit_interval", .duration(1_000_000...60 * second), "2s", reload: true,
            "Readings are stored this often (those with an alert at once); a kill may cost so much of what nobody waits for."),
        Key(
            "write_budget", .budget, "", reload: true,
            "Bytes that may be written a day such as \"50MB/day\": the three intervals here are stretched to keep to it; \"\" for no limit."
        ),
        Key(
            "checkpoint_interval", .duration(second...86400 * second), "1h", reload: true,
            "Every learned state is written once in this time, spread evenly, in busy fleets sooner; the journal reaches back two of them."),
        Key("retention_alerts", .duration(3600 * second...100 * year), "365d", reload: true, "Closed alerts are deleted after this."),
        Key("retention_alerts_max", .count(100...100_000_000), "100000", reload: true, "At most so many closed alerts are kept."),
        Key(
            "explanations_max", .count(0...10_000_000), "10000", reload: true,
            "Newest alerts whose explanation (about 15 kB) is worked out and kept; 0: only on demand, while the journal has the readings."),
    ]

    /// Settings inside a `[[streams]]` section.
    public static let streamRule: [Key] = [
        Key("match", .text, "*", "Glob over the stream key, for example \"pump,site=a*\"; the first section that matches counts."),
        Key("ignore", .flag, "false", "true: readings of these streams are refused as ignored."),
        Key("false_alarms", .rate, "", "Budget for each of these streams."),
        Key("false_alarms_group", .rate, "", "Budget of all these streams together: each gets an equal share."),
        Key("timezone", .zone, "UTC", "As above, for these streams."),
        Key("stale_after", .count(2...100_000), "20", "As above, for these streams."),
        Key("severity_min", .choice(["info", "warning", "critical"]), "info", "Alerts below this are not raised for these streams."),
        Key(
            "model", .text, "",
            "Trained model of these streams: NAME (its active version) or NAME@VERSION; \"\": the built-in network."),
        Key("late_max", .window, "0s", "As above, for these streams."),
        Key("channel", .text, "*", "Glob over channels that missing and range are about; such a section says nothing else."),
        Key("missing", .list, "[]", "Values that sensors send for a missing one, such as [-127, 85]: left out."),
        Key(
            "range", .list, "[]",
            "Smallest and largest value that can be true, such as [-40, 85]; others are not learned and have an alert of kind range."),
    ]

    /// Kinds of senders that are known by name.
    public static let sourcePresets = [
        "mosquitto", "rtl_433", "home_assistant", "home_assistant_event", "ttn", "chirpstack", "shelly", "switches",
    ]
    /// Words of `time_format` beside patterns.
    static let timeUnits = ["seconds", "milliseconds", "microseconds", "nanoseconds", "s", "ms", "us", "ns"]

    /// Settings inside a `[[sources]]` section.
    public static let source: [Key] = [
        Key("preset", .text, "rtl_433", "A known kind of sender to begin with: " + sourcePresets.joined(separator: ", ") + "."),
        Key("match", .text, "*", "Glob over the name in front of an object or word (an MQTT topic)."),
        Key("has", .list, "[\"model\"]", "Members that an object must have for the section to count; dots lead into objects."),
        Key(
            "stream_from", .list, "[\"model\", \"id\"]", "Members that name the stream: the first is the measurement, the others are tags."),
        Key("ignore_fields", .list, "[\"mic\"]", "Members that are no values."),
        Key("time_field", .text, "time", "The member with the time."),
        Key(
            "time_format", .text, "%Y-%m-%d %H:%M:%S", "How it is written: a pattern, or seconds, milliseconds, microseconds, nanoseconds."),
        Key("value_from", .text, "payload", "The member with the values: an object, a number, or a text with either."),
        Key("states", .list, "{ ON = 1, OFF = 0 }", "Words that stand for numbers."),
    ]

    /// The sample file: every key with its default and why.
    public static var sampleFile: String {
        var text = """
            # rnn-watchd configuration (TOML). Every key stands here with its default; delete what you do not change.
            # `rnn-watchd --check --config FILE` reports all problems at once. `systemctl reload rnn-watchd` takes over the keys
            # marked (reload); the others need a restart.

            """
        for key in all {
            text += "\n# \(key.why)" + (key.isReloadable ? " (reload)" : "") + "\n\(key.name) = \(key.literal)\n"
        }
        text += "\n# Settings for some streams; sections are tried in order, the first match counts. (reload)\n# [[streams]]\n"
        for key in streamRule { text += "# \(key.name) = \(key.literal)  # \(key.why)\n" }
        text +=
            "\n# Senders that name their streams in members of their own; the first section that fits an object counts. (reload)\n# [[sources]]\n"
        for key in source { text += "# \(key.name) = \(key.literal)  # \(key.why)\n" }
        return text
    }

    /// The default as a TOML literal.
    public var literal: String {
        switch kind {
        case .flag, .count, .list: standard
        default: "\"\(standard)\""
        }
    }
}
