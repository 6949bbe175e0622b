import Tabular
import TimeSeries

/// A curve with its expected band and the spans of alerts, as SVG with a table behind it.
struct Chart {
    struct Point {
        /// Nanoseconds since 1970.
        var time: Int64
        var value: Double?
        var low: Double?
        var high: Double?
        var expected: Double?
    }

    var title: String
    var points: [Point]
    /// Marked spans, nanoseconds.
    var spans: [(from: Int64, to: Int64)] = []

    private let width = 760.0
    private let height = 220.0
    private let left = 64.0
    private let bottom = 24.0
    private let top = 14.0
    private let right = 8.0

    init(title: String, points: [Point], spans: [(from: Int64, to: Int64)] = []) {
        (self.title, self.points, self.spans) = (title, points.sorted { $0.time < $1.time }, spans)
    }

    var html: HTML { html(stream: "") }

    /// - stream: of a curve on which a moment may be chosen; empty for none.
    func html(stream: String) -> HTML {
        let known = points.flatMap { [$0.value, $0.low, $0.high] }.compactMap { $0 }.filter { $0.isFinite }
        guard let first = points.first?.time, let last = points.last?.time, let lowest = known.min(), let highest = known.max() else {
            return "<p class=\"none\">No curve yet.</p>"
        }
        if first == last {
            return
                "<p class=\"none\">\(title): \(points.last?.value.map(NumberText.short) ?? "–") so far; a curve comes with the next values.</p>"
        }
        let pad = highest > lowest ? (highest - lowest) * 0.05 : max(abs(highest) * 0.05, 0.5)
        let (y0, y1) = (lowest - pad, highest + pad)
        let span = max(Double(last - first), 1)
        func x(_ time: Int64) -> Double { left + (width - left - right) * min(max(Double(time - first) / span, 0), 1) }
        func y(_ value: Double) -> Double { top + (height - top - bottom) * (1 - (value - y0) / (y1 - y0)) }
        var body = ""
        for mark in spans where mark.to >= first && mark.from <= last {
            let (a, b) = (x(mark.from), max(x(mark.to), x(mark.from) + 2))
            body += "<rect class=\"span\" x=\"\(n(a))\" y=\"\(n(top))\" width=\"\(n(b - a))\" height=\"\(n(height - top - bottom))\"/>"
        }
        for step in 0...4 {
            let value = y0 + (y1 - y0) * Double(step) / 4
            body += "<line class=\"grid\" x1=\"\(n(left))\" x2=\"\(n(width - right))\" y1=\"\(n(y(value)))\" y2=\"\(n(y(value)))\"/>"
            body += "<text x=\"\(n(left - 6))\" y=\"\(n(y(value) + 4))\" text-anchor=\"end\">\(HTML.escape(NumberText.short(value)))</text>"
        }
        for step in 0...3 {
            let time = first + Int64(span * Double(step) / 3)
            let anchor = step == 0 ? "start" : step == 3 ? "end" : "middle"
            let text = String(TimeText.seconds(time).dropFirst(span > 86_400e9 ? 5 : 11).prefix(span > 86_400e9 ? 11 : 8))
            body += "<text x=\"\(n(x(time)))\" y=\"\(n(height - 6))\" text-anchor=\"\(anchor)\">\(HTML.escape(text))</text>"
        }
        body += band(x, y) + line(x, y, "expected", \.expected) + line(x, y, "value", \.value)
        let values = points.compactMap(\.value)
        let told =
            "\(title): \(values.count) values from \(values.min().map(NumberText.short) ?? "–") to \(values.max().map(NumberText.short) ?? "–"), "
            + "\(TimeText.seconds(first)) to \(TimeText.seconds(last))"
        let choice: HTML =
            stream.isEmpty ? "" : " data-stream=\"\(stream)\" data-from=\"\(Int(first / 1_000_000))\" data-to=\"\(Int(last / 1_000_000))\""
        let rows = points.suffix(200).map { point in
            [point.value, point.expected, point.low, point.high].map { "\($0.map(NumberText.short) ?? "–")" as HTML }
        }
        let times = points.suffix(200).map { "\(TimeText.milliseconds($0.time))" as HTML }
        let table = HTML.table(
            "\(title): values", ["Time", "Value", "Expected", "Band low", "Band high"], zip(times, rows).map { [$0] + $1 },
            empty: "No values.")
        return """
            <figure><figcaption>\(title)</figcaption>
            <svg\(choice) viewBox="0 0 \(n(width)) \(n(height))" role="img" aria-label="\(told)" class="chart">\(HTML(raw: body))</svg>
            <details><summary>The numbers</summary>\(table)</details></figure>
            """
    }

    private func band(_ x: (Int64) -> Double, _ y: (Double) -> Double) -> String {
        var out = ""
        var run: [Point] = []
        func close() {
            guard run.count > 1 else { return run.removeAll() }
            let high = run.map { "\(n(x($0.time))),\(n(y($0.high ?? 0)))" }
            let low = run.reversed().map { "\(n(x($0.time))),\(n(y($0.low ?? 0)))" }
            out += "<polygon class=\"band\" points=\"\((high + low).joined(separator: " "))\"/>"
            run.removeAll()
        }
        for point in points {
            if point.low?.isFinite == true, point.high?.isFinite == true { run.append(point) } else { close() }
        }
        close()
        return out
    }

    /// Broken where a value is missing.
    private func line(_ x: (Int64) -> Double, _ y: (Double) -> Double, _ name: String, _ of: (Point) -> Double?) -> String {
        var out = ""
        var isOpen = false
        for point in points {
            guard let value = of(point), value.isFinite else {
                isOpen = false
                continue
            }
            out += "\(isOpen ? "L" : "M")\(n(x(point.time))) \(n(y(value)))"
            if !isOpen { out += "h0.01" }
            isOpen = true
        }
        return out.isEmpty ? "" : "<path class=\"\(name)\" d=\"\(out)\"/>"
    }

    private func n(_ value: Double) -> String { NumberText.fixed(value, 1) }
}

extension HTML {
    /// Markup that this module made itself.
    init(raw: String) { text = raw }
}
