import HTTPTypes
import Hummingbird
import NIOCore
import Tabular
import TimeSeries

/// What all views share.
enum Page {
    private static let places = [
        ("now", "/", "Now"), ("alerts", "/alerts", "Alerts"), ("streams", "/streams", "Streams"), ("budget", "/budget", "Budget"),
        ("ingest", "/ingest", "Ingest"), ("try", "/try", "Try"),
    ]

    static func response(_ status: HTTPResponse.Status, _ view: PageController.View, _ place: String, for request: Request? = nil)
        -> Response
    {
        let links = places.map { name, path, label in
            name == place ? "<a href=\"\(path)\" aria-current=\"page\">\(label)</a>" as HTML : "<a href=\"\(path)\">\(label)</a>"
        }
        let html: HTML = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(view.title) · rnn-watchd</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><script src="/page.js" defer></script></head>
            <body\(view.isLive ? " data-live" as HTML : "")><a class="skip" href="#main">To the content</a><header><strong>rnn-watchd</strong><nav aria-label="Views">\(links)</nav></header>
            <main id="main">\(view.body)</main></body></html>
            """
        var response = Response.text(status, html.text, type: "text/html; charset=utf-8")
        guardHeaders(&response)
        if let request { tag(&response, html.text, request) }
        return response
    }

    /// No script, style, frame or connection of another origin; nobody may frame the page.
    static func guardHeaders(_ response: inout Response) {
        response.headers[HTTPField.Name("Content-Security-Policy")!] =
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        response.headers[HTTPField.Name("X-Frame-Options")!] = "DENY"
        response.headers[HTTPField.Name("Referrer-Policy")!] = "no-referrer"
        response.headers[HTTPField.Name("Cross-Origin-Opener-Policy")!] = "same-origin"
        response.headers[.cacheControl] = "no-store"
    }

    static func asset(_ text: String, type: String) -> Response {
        var response = Response.text(.ok, text, type: type)
        response.headers[.cacheControl] = "max-age=300"
        return response
    }

    /// Adds an entity tag, and makes the answer 304 when the client has this very text.
    static func tag(_ response: inout Response, _ text: String, _ request: Request) {
        let tag = "\"" + String(fnv(text), radix: 36) + "\""
        response.headers[.eTag] = tag
        response.headers[.cacheControl] = "no-cache"
        guard request.headers[.ifNoneMatch] == tag else { return }
        response = Response(status: .notModified, headers: response.headers)
        response.headers[.contentType] = nil
    }

    private static func fnv(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    // MARK: - Pieces

    static func tile(_ number: Int, _ label: String, _ kind: String) -> HTML { "<li class=\"\(kind)\"><b>\(number)</b> \(label)</li>" }

    static func badge(_ severity: String) -> HTML {
        let mark = ["critical": "▲ ", "warning": "◆ ", "info": "● "][severity] ?? ""
        return "<span class=\"badge \(severity)\">\(mark)\(severity)</span>"
    }

    static func option(_ value: String, _ chosen: String) -> HTML {
        "<option value=\"\(value)\"\(value == chosen ? " selected" as HTML : "")>\(value.isEmpty ? "any" : value)</option>"
    }

    static func time(_ value: JSONValue?) -> HTML {
        guard let value, value != .null else { return "–" }
        let text = value.text ?? value.integerValue.map { TimeText.milliseconds($0) } ?? "–"
        return "<time datetime=\"\(text)\">\(String(text.map { $0 == "T" ? " " : $0 }))</time>"
    }

    static func alertTable(_ rows: [JSONValue], _ caption: String, empty: String) -> HTML {
        let cells = rows.map { row in
            [
                badge(row.shown("severity")), "<a href=\"/alert?id=\(HTML(raw: HTML.query(row.shown("id"))))\">\(row.shown("stream"))</a>",
                "\(row.shown("reason"))", time(row["opened_at"]),
                "\(row["attention"].map { "\(row.shown("state")), \($0.shown)" } ?? row.shown("state"))",
            ] as [HTML]
        }
        return HTML.table(caption, ["Severity", "Stream", "What", "Opened", "State"], cells, empty: empty)
    }

    /// The main channel around the opening, with the band as of then.
    static func curve(_ alert: JSONValue, _ channel: String) -> Chart {
        let opened = alert["opened_at"]?.text.flatMap { TimeText.parse($0) } ?? 0
        let closed = alert["closed_at"]?.text.flatMap { TimeText.parse($0) } ?? Int64.max
        let points = (alert["context"]?.items ?? []).compactMap { row -> Chart.Point? in
            guard let time = row["time"]?.integerValue else { return nil }
            return Chart.Point(
                time: time, value: row["value"]?.doubleValue, low: alert["band_low"]?.doubleValue, high: alert["band_high"]?.doubleValue,
                expected: alert["expected"]?.doubleValue)
        }
        return Chart(title: "\(channel) around the alert; band as expected at its beginning", points: points, spans: [(opened, closed)])
    }

    static func sum(_ value: JSONValue?) -> Int {
        guard case .object(let members) = value ?? .null else { return 0 }
        return members.reduce(0) { $0 + Int($1.value.integerValue ?? 0) }
    }

    /// Names and values of a query or a form; of two of a name the first counts.
    static func query(_ text: String) -> [String: String] {
        var members: [String: String] = [:]
        for pair in text.utf8.prefix(64 << 10).split(separator: 38).prefix(100) {
            let name = pair.prefix { $0 != 61 }
            let key = decoded(name)
            if members[key] == nil { members[key] = decoded(pair.dropFirst(name.count + 1)) }
        }
        return members
    }

    private static func decoded(_ text: some Sequence<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text)[...]
        while let byte = rest.popFirst() {
            if byte == 37, rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == 43 ? 32 : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A name of a member as words.
    static func words(_ name: String) -> String { String(name.map { $0 == "_" ? " " : $0 }) }

    /// A glob that this text fits; in place of a star any one character.
    static func globLiteral(_ text: String) -> String { String(text.map { $0 == "*" ? "?" : $0 }) }
}
