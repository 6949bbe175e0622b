import Tabular

/// Curves and bars made of characters.
enum Curve {
    private static let steps: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// One character per value, the lowest ▁ and the highest █; more than `width` values are averaged in groups.
    /// - Parameter range: of the ends; nil: of the values.
    static func text(_ values: [Double], width: Int = 60, range: ClosedRange<Double>? = nil) -> String {
        let known = values.filter(\.isFinite)
        guard let low = known.min(), let high = known.max() else { return "" }
        let bounds = range ?? low...high
        let span = bounds.upperBound - bounds.lowerBound
        let columns = min(width, values.count)
        return String(
            (0..<columns).map { column -> Character in
                let group = values[
                    column * values.count / columns..<max(column * values.count / columns + 1, (column + 1) * values.count / columns)]
                let mean = group.reduce(0, +) / Double(group.count)
                guard mean.isFinite else { return " " }
                let share = span > 0 ? (mean - bounds.lowerBound) / span : 0
                return steps[min(steps.count - 1, max(0, Int(share * Double(steps.count))))]
            })
    }

    /// A bar of `width` cells, filled up to `share`.
    static func bar(_ share: Double, width: Int) -> String {
        let eighths = Int((min(max(share, 0), 1) * Double(width * 8)).rounded())
        let parts: [String] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let full = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return full + String(repeating: " ", count: width - full.count)
    }

    /// Minutes and seconds, or hours from one hour on.
    static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "-" }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let whole = Int(seconds.rounded())
        return whole >= 3600 ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
    }

    /// Bytes as text for people.
    static func bytes(_ count: Int) -> String {
        if count >= 1 << 30 { return NumberText.fixed(Double(count) / Double(1 << 30), 2) + " GiB" }
        if count >= 1 << 20 { return NumberText.fixed(Double(count) / Double(1 << 20), 1) + " MiB" }
        return count >= 1 << 10 ? NumberText.fixed(Double(count) / Double(1 << 10), 1) + " KiB" : "\(count) B"
    }
}
