import Detection
import Evaluation
import Glibc

/// False alarms asked against realised: synthetic families without events, and recorded series outside their events.
struct BudgetBench {
    let profile: DetectorProfile
    let seeds: Int

    private static let rates: [(name: String, seconds: Double)] = [("1/day", 86_400), ("1/week", 604_800), ("1/month", 2_592_000)]
    /// Cadence, how long each series lasts, and the slowest rate that can be told in that time (seconds).
    private static let spans: [(name: String, cadence: Double, seconds: Double, slowest: Double)] = [
        ("1 h", 3600, 2 * 31_536_000, 2_592_000), ("5 min", 300, 31_536_000, 2_592_000), ("1 min", 60, 180 * 86_400, 2_592_000),
        ("1 s", 1, 3 * 86_400, 86_400),
    ]

    func run(_ corpora: [String], into document: String?) throws {
        let synthetic = synthetic()
        print(synthetic)
        if let document { try Document.replace("budget", with: synthetic, in: document) }
        guard !corpora.isEmpty else { return }
        let quiet = try quiet(corpora)
        print(quiet)
        if let document { try Document.replace("budget-quiet", with: quiet, in: document) }
    }

    private func synthetic() -> String {
        var detector = Detector(profile: profile)
        var text =
            "| family | interval | rate | asked | realised | realised / asked | young streams | seeds' quartiles |\n|---|---|---|---|---|---|---|---|\n"
        for family in LabelFreeFamily.allCases {
            for span in BudgetBench.spans {
                for rate in BudgetBench.rates where rate.seconds <= span.slowest {
                    var all = BudgetTrial()
                    var each: [Double] = []
                    for seed in 1...seeds {
                        let series = LabelFreeSeries(family, cadenceSeconds: span.cadence, seed: UInt64(seed))
                        var own = BudgetTrial()
                        own.run(series, count: Int(span.seconds / span.cadence), secondsBetween: rate.seconds, &detector)
                        all.add(own)
                        each.append(own.ratio ?? 0)
                    }
                    each.sort()
                    let row =
                        "| \(family.rawValue) | \(span.name) | \(rate.name) | \(BudgetBench.cells(all)) | \(fixed(each[each.count / 4], 2))-\(fixed(each[each.count * 3 / 4], 2)) |"
                    progress(row)
                    text += row + "\n"
                }
            }
        }
        return text
    }

    private func quiet(_ corpora: [String]) throws -> String {
        var detector = Detector(profile: profile)
        var text = "| corpus | rate | asked | realised | realised / asked | young streams |\n|---|---|---|---|---|---|\n"
        var totals = [BudgetTrial](repeating: BudgetTrial(), count: BudgetBench.rates.count)
        for path in corpora {
            let corpus = try Corpus(path, clock: true)
            for (place, rate) in BudgetBench.rates.enumerated() {
                var trial = BudgetTrial()
                for series in corpus.series { trial.run(quiet: series, secondsBetween: rate.seconds, &detector) }
                totals[place].add(trial)
                text += "| \(corpus.name) | \(rate.name) | \(BudgetBench.cells(trial)) |\n"
            }
        }
        for (rate, total) in zip(BudgetBench.rates, totals) { text += "| all | \(rate.name) | \(BudgetBench.cells(total)) |\n" }
        return text
    }

    /// asked | realised | ratio | ratio of young streams
    private static func cells(_ trial: BudgetTrial) -> String {
        func ratio(_ value: Double?, asked: Double) -> String { asked >= 3 ? value.map { fixed($0, 2) } ?? "-" : "(few)" }
        return
            "\(fixed(trial.asked, 1)) | \(trial.raised) | \(ratio(trial.ratio, asked: trial.asked)) | \(ratio(trial.youngRatio, asked: trial.youngAsked))"
    }

    private func progress(_ line: String) {
        let text = line + "\n"
        _ = text.withCString { write(2, $0, strlen($0)) }
    }
}

/// A document with stretches that a program writes: between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
enum Document {
    enum Problem: Error, CustomStringConvertible {
        case noMark(String, String)
        case unwritable(String)
        var description: String {
            switch self {
            case .noMark(let name, let path):
                "cannot write the table \(name): \(path) has no <!-- \(name):begin --> ... <!-- \(name):end -->"
            case .unwritable(let path): "cannot write \(path)"
            }
        }
    }

    static func replace(_ name: String, with table: String, in path: String) throws {
        guard let bytes = Corpus.bytes(path) else { throw Corpus.Problem.unreadable(path) }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard let begin = lines.firstIndex(of: "<!-- \(name):begin -->"), let end = lines.firstIndex(of: "<!-- \(name):end -->"),
            begin < end
        else { throw Problem.noMark(name, path) }
        let text = lines[...begin].joined(separator: "\n") + "\n" + table + lines[end...].joined(separator: "\n")
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Problem.unwritable(path) }
        let isWritten = text.withCString { write(file, $0, strlen($0)) == strlen($0) }
        guard close(file) == 0, isWritten, rename(temporary, path) == 0 else { throw Problem.unwritable(path) }
    }
}

/// A number with so many decimals.
func fixed(_ x: Double, _ digits: Int) -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    withVaList([Int32(digits), x]) { _ = vsnprintf(&buffer, 64, "%.*f", $0) }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
