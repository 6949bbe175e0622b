/// The manual page of the configuration file, from the one list of keys.
extension Key {
    /// rnn-watchd.toml(5) in man(7) macros.
    public static func manualPage(version: String) -> String {
        var page = """
            .\\" Made by `rnn-watchd --print-config-man` from the list of keys.
            .TH RNN\\-WATCHD.TOML 5 "" "rnn\\-watchd \(version)" "File formats"
            .SH NAME
            rnn\\-watchd.toml \\- configuration of rnn\\-watchd(8)
            .SH SYNOPSIS
            .I /etc/rnn\\-watchd/rnn\\-watchd.toml
            .SH DESCRIPTION
            A TOML file. Every key has a default; an empty file is a complete configuration.
            Durations have a unit (ms, s, min, h, d), sizes too (B, KiB, MiB).
            An unknown key or a value of the wrong kind is an error.
            .B rnn\\-watchd \\-\\-check \\-\\-config
            .I FILE
            reports all problems at once, and
            .B systemctl reload rnn\\-watchd
            takes over the keys marked "reload"; the others need a restart. A reload of a file with errors changes nothing.
            .SH KEYS

            """
        for key in all { page += entry(key) }
        page += """
            .SH STREAM SECTIONS
            Settings for some streams stand in
            .B [[streams]]
            sections. They are tried in order, and the first that matches counts. All of them are taken over by a reload.

            """
        for key in streamRule { page += entry(key) }
        page += """
            .SH SOURCE SECTIONS
            How senders that name their streams in members of their own are understood stands in
            .B [[sources]]
            sections; the first that fits an object counts.

            """
        for key in source { page += entry(key) }
        page += """
            .SH FILES
            .I /etc/rnn\\-watchd/rnn\\-watchd.toml
            .SH SEE ALSO
            .BR rnn\\-watchd (8),
            .BR rnnctl (1)

            """
        return page
    }

    private static func entry(_ key: Key) -> String {
        let reload = key.isReloadable ? " (reload)" : ""
        return
            ".TP\n.B \(escaped(key.name)) = \(escaped(key.literal))\n\(escaped(key.why))\nExpects \(escaped(key.kind.expected)).\(reload)\n"
    }

    /// Text with what roff would take for its own made literal.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "'": result += "\\(aq"
            case "\"": result += "\\(dq"
            default: result.append(character)
            }
        }
        return result.hasPrefix(".") ? "\\&" + result : result
    }
}
