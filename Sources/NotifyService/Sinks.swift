import Configuration
import Glibc
import Notification
import Platform
import Tabular
import TimeSeries

/// Something that can hear notices. Used by its own thread only.
protocol Sink: AnyObject {
    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome
    /// What it does beside notices; called again and again with all alerts that it believes to be open or that are. nil: nothing to do.
    func tend(_ alerts: [NotifyAlert], told: ToldBook, now: Int64) -> Outcome?
    /// The program ends.
    func stop()
}

extension Sink {
    func tend(_ alerts: [NotifyAlert], told: ToldBook, now: Int64) -> Outcome? { nil }
    func stop() {}
}

enum Sinks {
    static func make(_ configuration: SinkConfiguration) -> any Sink {
        switch configuration.kind {
        case .webhook: WebhookSink(configuration)
        case .alertmanager: AlertmanagerSink(configuration)
        case .exec: ExecSink(configuration)
        case .email: MailSink(configuration)
        case .ntfy: NtfySink(configuration)
        case .mqtt: MQTTSink(configuration)
        }
    }

    /// A moment as people on this machine read it.
    static func local(_ text: String) -> String {
        guard let moment = TimeText.parse(text) else { return text }
        var seconds = time_t(moment / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M:%S %Z", &parts)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// POST in the shape of Alertmanager's webhook.
final class WebhookSink: Sink {
    private let configuration: SinkConfiguration
    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        do {
            let body = Payloads.webhook(notice, sink: configuration.name, atOpen: atOpen).compact
            return HTTP.send(
                configuration, url: try configuration.address(),
                headers: ["Content-Type: application/json", "Idempotency-Key: \(notice.key)"], body: Array(body.utf8))
        } catch { return .failed("\(error)") }
    }
}

/// Pushes to Alertmanager, which groups, repeats and routes by itself: it hears every open alert again and again, and of what is over for a
/// quarter of an hour.
final class AlertmanagerSink: Sink {
    private let configuration: SinkConfiguration
    private var sentAt: Int64 = 0
    private var over: [String: (alert: NotifyAlert, atOpen: Level, at: Int64)] = [:]
    private static let overFor: Int64 = 900_000_000_000

    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        let now = Clocks.wall()
        var alerts: [JSONValue] = []
        for alert in notice.firing { alerts.append(json(alert, atOpen(alert.id) ?? alert.severity, now)) }
        for alert in notice.resolved {
            let level = atOpen(alert.id) ?? alert.severity
            over[alert.id] = (alert, level, now)
            alerts.append(json(alert, level, now))
        }
        return post(alerts)
    }

    func tend(_ alerts: [NotifyAlert], told: ToldBook, now: Int64) -> Outcome? {
        guard now - sentAt >= configuration.resend else { return nil }
        over = over.filter { now - $0.value.at < AlertmanagerSink.overFor }
        let known = told.groups.values.reduce(into: [String: ToldAlert]()) { $0.merge($1.members) { first, _ in first } }
        var all = alerts.filter { $0.isOpen && known[$0.id] != nil }.map { json($0, known[$0.id]?.severityAtOpen ?? $0.severity, now) }
        all += over.values.map { json($0.alert, $0.atOpen, now) }
        guard !all.isEmpty else { return nil }
        let outcome = post(all)
        if outcome.isDelivered { sentAt = now }
        return outcome
    }

    private func json(_ alert: NotifyAlert, _ atOpen: Level, _ now: Int64) -> JSONValue {
        // Should nobody send it again, it ends by itself.
        Payloads.alertmanager(alert, severityAtOpen: atOpen, until: TimeText.milliseconds(now + 4 * configuration.resend))
    }

    private func post(_ alerts: [JSONValue]) -> Outcome {
        do {
            var url = try configuration.address()
            while url.hasSuffix("/") { url.removeLast() }
            if !url.hasSuffix("/api/v2/alerts") { url += "/api/v2/alerts" }
            return HTTP.send(
                configuration, url: url, headers: ["Content-Type: application/json"], body: Array(JSONValue.array(alerts).compact.utf8))
        } catch { return .failed("\(error)") }
    }
}

final class ExecSink: Sink {
    private let configuration: SinkConfiguration
    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        Command.run(
            configuration.command, environment: Payloads.environment(notice, sink: configuration.name),
            input: Array((Payloads.webhook(notice, sink: configuration.name, atOpen: atOpen).compact + "\n").utf8),
            timeout: configuration.timeout)
    }
}

/// Hands mail to the machine's own mailer.
final class MailSink: Sink {
    private let configuration: SinkConfiguration
    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        Command.run(
            [configuration.sendmail, "-i", "-t"] + (configuration.from.isEmpty ? [] : ["-f", configuration.from]), environment: [],
            input: Array(message(notice).utf8), timeout: configuration.timeout)
    }

    /// RFC 5322; the message id is made of the notice's key, and what belongs to one group hangs together.
    func message(_ notice: Notice) -> String {
        func id(_ text: String) -> String { "<\(Notice.checksum(text)).rnn-notify@\(host)>" }
        var lines = ["To: \(configuration.to.joined(separator: ", "))"]
        if !configuration.from.isEmpty { lines.append("From: rnn-watchd <\(configuration.from)>") }
        lines += [
            "Subject: \(encoded(Payloads.title(notice)))", "Message-ID: \(id(notice.key))", "References: \(id(notice.group))",
            "Auto-Submitted: auto-generated", "X-RNN-Key: \(encoded(notice.key))", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "",
        ]
        return lines.map { $0.filter { !$0.isNewline } }.joined(separator: "\n") + "\n" + Payloads.text(notice, time: Sinks.local)
    }

    private var host: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As RFC 2047 has it when it is not ASCII.
    private func encoded(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 >= 128 }) else { return text }
        let words = text.utf8.map { byte -> String in
            let isPlain = byte >= 48 && byte <= 57 || byte | 0x20 >= 97 && byte | 0x20 <= 122
            return isPlain
                ? String(UnicodeScalar(byte)) : byte == 32 ? "_" : "=" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        // An encoded word has at most 75 characters.
        var out: [String] = [""]
        for word in words {
            if out[out.count - 1].count + word.count > 60 { out.append("") }
            out[out.count - 1] += word
        }
        return out.map { "=?utf-8?q?\($0)?=" }.joined(separator: " ")
    }
}

/// Plain text by POST, with the headers that ntfy reads.
final class NtfySink: Sink {
    private let configuration: SinkConfiguration
    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        do {
            let priority = notice.isResolved ? "2" : notice.severity == .critical ? "5" : notice.severity == .warning ? "4" : "3"
            let title = Payloads.title(notice).unicodeScalars.map { $0.isASCII ? Character($0) : "?" }
            return HTTP.send(
                configuration, url: try configuration.address(),
                headers: [
                    "Title: \(String(title))", "Priority: \(priority)", "Tags: \(notice.isResolved ? "white_check_mark" : "warning")",
                    "Idempotency-Key: \(notice.key)", "Content-Type: text/plain; charset=utf-8",
                ], body: Array(Payloads.text(notice, time: Sinks.local).utf8))
        } catch { return .failed("\(error)") }
    }
}
