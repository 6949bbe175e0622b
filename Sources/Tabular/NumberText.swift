/// Numbers as text for people.
public enum NumberText {
    /// `value` with exactly `decimals` decimals (0 to 6); a dash when it is not a finite number of ordinary size.
    public static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "-" }
        var scale: Int64 = 1
        for _ in 0..<min(max(decimals, 0), 6) { scale *= 10 }
        let scaled = Int64((value * Double(scale)).rounded())
        let sign = scaled < 0 ? "-" : ""
        let (whole, rest) = scaled.magnitude.quotientAndRemainder(dividingBy: scale.magnitude)
        return scale == 1 ? "\(scaled)" : "\(sign)\(whole).\(String(rest + scale.magnitude).dropFirst())"
    }

    /// About five significant digits, without zeros at the end.
    public static func short(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let magnitude = abs(value)
        if value == value.rounded(), magnitude < 1e9 { return String(Int64(value)) }
        if magnitude >= 1e9 || magnitude < 1e-4 { return scientific(value) }
        return trimmed(value, magnitude >= 1000 ? 1 : magnitude >= 100 ? 2 : magnitude >= 10 ? 3 : 4)
    }

    private static func scientific(_ value: Double) -> String {
        var exponent = 0
        var mantissa = value
        while abs(mantissa) >= 10 {
            mantissa /= 10
            exponent += 1
        }
        while abs(mantissa) < 1 {
            mantissa *= 10
            exponent -= 1
        }
        return trimmed(mantissa, 3) + "e" + String(exponent)
    }

    private static func trimmed(_ value: Double, _ decimals: Int) -> String {
        var text = fixed(value, decimals)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text == "-0" ? "0" : text
    }
}
