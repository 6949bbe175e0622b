import Tabular
import TimeSeries

/// An explanation for people.
struct ExplanationView {
    private let answer: JSONValue
    private let shown: Int

    /// - Parameters:
    ///   - answer: as docs/CONTROL.md describes it.
    ///   - units: hidden units shown at most.
    init(_ answer: JSONValue, units: Int) { (self.answer, shown) = (answer, units) }

    var text: String { head + importance + score + hidden + counterfactual }

    private func number(_ value: JSONValue?) -> String { value?.doubleValue.map(NumberText.short) ?? "-" }
    private func plain(_ value: JSONValue?) -> String { RecordTable.printable(value?.text ?? "-") }
    private func numbers(_ value: JSONValue?) -> [Double] { (value?.items ?? []).compactMap(\.doubleValue) }

    private func moment(_ value: JSONValue?) -> String {
        value?.text.flatMap { TimeText.parse($0) }.map(TimeText.seconds) ?? plain(value)
    }

    private func signed(_ value: Double) -> String { (value < 0 ? "" : "+") + NumberText.short(value) }

    private var head: String {
        let channels = (answer["channels"]?.items ?? []).compactMap(\.text).map(RecordTable.printable).joined(separator: ", ")
        return "\(plain(answer["alert"])): \(plain(answer["stream"])), \(channels) at \(moment(answer["reading_at"]))\n"
            + "score \(number(answer["score"])), threshold \(number(answer["threshold"]))"
            + (isAnotherScore ? " (when it opened: \(number(answer["stored_score"])); the settings differ)" : "") + "\n"
            + "network: \(answer["model"]?.text.map { "model \(RecordTable.printable($0)), " } ?? "")\(plain(answer["network"]))\n"
    }

    private var isAnotherScore: Bool {
        guard let stored = answer["stored_score"]?.doubleValue, let score = answer["score"]?.doubleValue else { return false }
        return abs(stored - score) > 1e-6 * max(1, abs(stored))
    }

    // MARK: - (1)

    private var importance: String {
        var out = "\n(1) What drove the prediction\n"
        for prediction in answer["predictions"]?.items ?? [] {
            let (value, usual) = (prediction["value"]?.doubleValue ?? 0, prediction["usual"]?.doubleValue ?? 0)
            out +=
                "\(plain(prediction["channel"])): predicted \(NumberText.short(value)); after usual readings \(NumberText.short(usual))\n"
            let parts = prediction["contributions"]?.items ?? []
            let rows = parts.map { part -> [JSONValue] in
                let course = numbers(part["readings"])
                return [
                    .string(plain(part["channel"])), .string(signed(part["sum"]?.doubleValue ?? 0)), .string(Curve.text(course, width: 40)),
                    .string(course.last.map(signed) ?? "-"),
                ]
            }
            out += RecordTable(columns: ["channel", "added", "by reading, oldest to newest", "newest"], rows: rows).text(.table)
            let sum = parts.reduce(0) { $0 + ($1["sum"]?.doubleValue ?? 0) }
            let recomputed = prediction["recomputed"]?.doubleValue ?? 0
            out += "completeness (\(plain(prediction["method"]))): the parts add up to \(NumberText.short(sum)), "
            out += "the difference is \(NumberText.short(recomputed - usual)), residual \(number(prediction["residual"])): "
            out += (prediction["is_complete"]?.truth == true ? "ok" : "not complete") + "\n"
        }
        if answer["predictions"]?.items?.isEmpty ?? true { out += "no prediction stood against this reading\n" }
        return out
    }

    private var score: String {
        let parts = answer["score_parts"]
        let offset = parts?["offset"]?.doubleValue ?? 0
        let evidence = (parts?["evidence"]?.items ?? []).map { "\(plain($0["name"])) \(signed($0["points"]?.doubleValue ?? 0))" }
        var out = "\nWhat made the score: " + (evidence + ["constants and age \(signed(offset))"]).joined(separator: ", ") + "\n"
        let shares = (parts?["channels"]?.items ?? []).prefix(8).map { channel -> [JSONValue] in
            let share = channel["share"]?.doubleValue ?? 0
            return [
                .string(plain(channel["channel"])), .string(NumberText.fixed(100 * share, 0) + " %"), .string(Curve.bar(share, width: 20)),
                channel["observed"] ?? .null, channel["expected"] ?? .null,
            ]
        }
        out += RecordTable(columns: ["channel", "of the score", " ", "observed", "expected"], rows: Array(shares)).text(.table)
        let readings = parts?["readings"]?.items ?? []
        guard !readings.isEmpty else { return out }
        func course(_ name: String) -> [Double] { readings.map { $0[name]?.doubleValue ?? .nan } }
        let total = answer["score"]?.doubleValue ?? 0
        let weights = course("score_without").map { max(0, total - $0) }
        out += "last \(readings.count) readings to \(moment(readings.last?["time"]))\n"
        out += "  observed  \(Curve.text(course("observed"), width: 40))\n  expected  \(Curve.text(course("expected"), width: 40))\n"
        out +=
            "  score     \(Curve.text(course("score"), width: 40))\n  in it     \(Curve.text(weights, width: 40))  (score less the score without)\n"
        let strongest = weights.indices.sorted { weights[$0] > weights[$1] }.prefix(3).filter { weights[$0] > 0.005 }
        for place in strongest {
            out += "  \(moment(readings[place]["time"])): \(number(readings[place]["observed"])) instead of "
            out += "\(number(readings[place]["expected"])) has \(signed(weights[place])) of it\n"
        }
        return out
    }

    // MARK: - (2)

    private var hidden: String {
        let units = answer["units"]
        let (count, unusual) = (units?["count"]?.integerValue ?? 0, units?["unusual"]?.items ?? [])
        var out = "\n(2) Hidden units of \(plain(units?["of"]))\n"
        guard count > 0 else { return out + "nothing is known about them yet\n" }
        out +=
            "\(unusual.count) of \(count) left their usual range (known from \(units?["known_from_readings"]?.integerValue ?? 0) readings); "
        out +=
            "saturated: \(units?["saturated_now"]?.integerValue ?? 0) now, \(units?["saturated_usually"]?.integerValue ?? 0) more than half of the time; "
        out += "memory \(number(units?["memory_shortest"])) to \(number(units?["memory_longest"])) readings, "
        out += "median \(number(units?["memory_median"]))\n"
        guard !unusual.isEmpty else { return out }
        let rows = unusual.prefix(shown).map { unit -> [JSONValue] in
            let (low, high) = (unit["low"]?.doubleValue ?? 0, unit["high"]?.doubleValue ?? 0)
            return [
                .string("\(unit["layer"]?.integerValue ?? 0)/\(unit["unit"]?.integerValue ?? 0)"), unit["value"] ?? .null,
                .string("\(NumberText.short(low)) to \(NumberText.short(high))"), .string(signed(unit["deviations"]?.doubleValue ?? 0)),
                .string(NumberText.fixed(100 * (unit["saturation"]?.doubleValue ?? 0), 0) + " %"), unit["memory"] ?? .null,
            ]
        }
        out += RecordTable(columns: ["layer/unit", "now", "usual", "deviations", "saturated", "memory"], rows: Array(rows)).text(.table)
        return out + (unusual.count > shown ? "... \(unusual.count - shown) more (--units)\n" : "")
    }

    // MARK: - (3)

    private var counterfactual: String {
        let found = answer["counterfactual"]
        var out = "\n(3) What would not have alerted\n"
        guard found?["found"]?.truth == true else {
            return out + "no change of the last readings alone: the lowest score that was reached is \(number(found?["lowest_score"])); "
                + "what made it unusual lies further back\n"
        }
        let changes = found?["changes"]?.items ?? []
        out += "with these values instead the score is \(number(found?["score"])), below \(number(answer["threshold"])) "
        out += "(\(NumberText.fixed(100 * (found?["share"]?.doubleValue ?? 0), 0)) % of the way to what was expected)\n"
        for change in changes.suffix(8) {
            out += "  \(moment(change["time"]))  \(plain(change["channel"])) \(number(change["to"])) instead of \(number(change["from"]))\n"
        }
        return out + (changes.count > 8 ? "  and \(changes.count - 8) values before these\n" : "")
    }
}
