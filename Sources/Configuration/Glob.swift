/// Shell-like patterns: `*` any run of bytes, `?` one byte; everything else stands for itself. Linear in both lengths but
/// for backtracking to the last `*`.
public enum Glob {
    public static func matches(_ pattern: String, _ text: String) -> Bool {
        let pattern = Array(pattern.utf8)
        let text = Array(text.utf8)
        var p = 0
        var t = 0
        var star: Int?
        var mark = 0
        while t < text.count {
            if p < pattern.count, pattern[p] == 42 {
                star = p
                mark = t
                p += 1
            } else if p < pattern.count, pattern[p] == 63 || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                p = last + 1
                mark += 1
                t = mark
            } else {
                return false
            }
        }
        while p < pattern.count, pattern[p] == 42 { p += 1 }
        return p == pattern.count
    }
}

/// The nearest known name, for error messages.
public enum Spelling {
    /// The candidate with the smallest edit distance (Levenshtein), if it is at most a third of the length plus one.
    public static func nearest(to name: String, among candidates: [String]) -> String? {
        let best = candidates.map { ($0, distance(name, $0)) }.min { $0.1 < $1.1 }
        guard let best, best.1 <= name.utf8.count / 3 + 1 else { return nil }
        return best.0
    }

    static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left.utf8)
        let b = Array(right.utf8)
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<b.count {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
