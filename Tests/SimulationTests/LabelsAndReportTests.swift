import Tabular
import Testing

@testable import Simulation

@Suite struct LabelsAndReportTests {
    private func labels(_ faults: (String, String, Int64, Int64)...) -> FaultLabels {
        let labels = faults.map { FaultLabel(stream: $0.0, channels: ["x"], fault: $0.1, startNs: $0.2 * hourNs, endNs: $0.3 * hourNs) }
        return FaultLabels(labels: labels, spanNs: 0..<10 * dayNs, streams: 2)
    }

    private func alert(_ stream: String, minutes: Int64, kind: String = "anomaly", channels: [String] = ["x"]) -> RaisedAlert {
        RaisedAlert(stream: stream, channels: channels, kind: kind, openedNs: minutes * 60_000_000_000)
    }

    @Test func labelsAreReadBackFromBothForms() throws {
        let known = FaultLabels(of: try Plant(settings(days: 20, minutes: 1)))
        #expect(known.labels.count > 10)
        #expect(try FaultLabels(parsing: Array(known.csv.utf8)) == known)
        #expect(try FaultLabels(parsing: Array(known.jsonLines.utf8)) == known)
    }

    @Test func quotesAndCommasInStreamsSurviveTheTable() throws {
        let odd = FaultLabel(stream: "a \"b\",c=d\\ e", channels: ["x", "y"], fault: "spike", startNs: mondayNs, endNs: mondayNs + 1)
        let known = FaultLabels(labels: [odd])
        #expect(try FaultLabels(parsing: Array(known.csv.utf8)) == known)
        #expect(try FaultLabels(parsing: Array(known.jsonLines.utf8)) == known)
    }

    @Test func aBrokenLabelsFileIsRefusedWithItsLine() {
        #expect(throws: SimulationError.file(what: "labels", line: 2, reason: "expected \(FaultLabels.csvHeader)")) {
            try FaultLabels(parsing: Array("\(FaultLabels.csvHeader)\npump,x,spike,soon,later\n".utf8))
        }
        #expect(throws: SimulationError.self) { try FaultLabels(parsing: Array("{\"stream\":\"a\"}".utf8)) }
        #expect(throws: SimulationError.self) { try FaultLabels(parsing: Array("{\"stream\":".utf8)) }
    }

    @Test func foundLateFalseAndRepeatedAlertsAreCounted() {
        // Ten days, faults at hours 10-12 and 40-42 of a, 20-30 and 100-101 of b.
        let known = labels(("a", "spike", 10, 12), ("a", "spike", 40, 42), ("b", "stuck", 20, 30), ("b", "dropout", 100, 101))
        let report = DetectionReport(
            labels: known,
            alerts: [
                alert("a", minutes: 610), alert("a", minutes: 700), alert("a", minutes: 2430, channels: ["y"]),
                alert("b", minutes: 1320, kind: "stuck"), alert("a", minutes: 1320), alert("c", minutes: 610),
            ])
        #expect(report.rows.map(\.fault) == ["spike", "stuck", "dropout"])
        #expect(report.rows[0].injected == 2 && report.rows[0].found == 2 && report.rows[0].channelRight == 1)
        // Delays of 10 and 30 minutes.
        #expect(report.rows[0].medianDelayNs == 20 * 60_000_000_000 && report.rows[0].longestDelayNs == 30 * 60_000_000_000)
        #expect(report.rows[1].found == 1 && report.rows[1].medianDelayNs == 2 * hourNs)
        #expect(report.rows[1].alertKinds.map(\.kind) == ["stuck"])
        #expect(report.rows[2].found == 0 && report.rows[2].medianDelayNs == nil)
        #expect(report.total.injected == 4 && report.total.found == 3)
        #expect(report.repeats == 1 && report.falseAlerts.map(\.stream) == ["c", "a"])
        #expect(report.falsePerDay == 0.2 && report.precision == 4.0 / 6)
    }

    @Test func slackWidensAFaultAtBothEndsExactly() {
        let known = labels(("a", "spike", 10, 12))
        func fits(_ minutes: Int64) -> Bool {
            DetectionReport(
                labels: known, alerts: [alert("a", minutes: minutes)], slackBeforeNs: 5 * 60_000_000_000,
                slackAfterNs: 30 * 60_000_000_000
            ).falseAlerts.isEmpty
        }
        #expect(!fits(594) && fits(595) && fits(750) && !fits(751))
        let early = DetectionReport(labels: known, alerts: [alert("a", minutes: 599)], slackBeforeNs: hourNs)
        #expect(early.total.medianDelayNs == 0)
    }

    @Test func slacksOfAnySizeAreTaken() {
        let known = labels(("a", "spike", 0, 12))
        let late = RaisedAlert(stream: "a", channels: [], kind: "", openedNs: JSONValue.fileTimesNs.upperBound)
        let report = DetectionReport(labels: known, alerts: [late, alert("a", minutes: 0)], slackBeforeNs: .max, slackAfterNs: .max)
        #expect(report.falseAlerts == [late] && report.total.found == 1)
    }

    @Test func noAlertsAndNoFaultsGiveAReportToo() {
        let none = DetectionReport(labels: FaultLabels(labels: []), alerts: [])
        #expect(none.total.found == 0 && none.falsePerDay == 0 && none.precision == 1)
        #expect(none.table.contains("0 of 0 injected faults found"))
        let quiet = DetectionReport(labels: labels(("a", "spike", 1, 2)), alerts: [])
        #expect(quiet.total.injected == 1 && quiet.table.contains("0 of 1 injected"))
    }

    @Test func alertsAreReadFromAnArrayAndFromLines() throws {
        let row = """
            {"id":7,"stream":"pump,asset=p1","channels":["flow","x"],"kind":"anomaly","severity":"warning","state":"open",\
            "opened_at":"2026-01-05T00:00:00Z","closed_at":null,"initial_score":3.5e0,"expected":{"flow":[1,2]},"reason":"\\u00e4\\n\\"q\\""}
            """
        let expected = RaisedAlert(
            stream: "pump,asset=p1", channels: ["flow", "x"], kind: "anomaly", severity: "warning", openedNs: mondayNs)
        #expect(try RaisedAlert.list(json: Array("[\(row),\n\(row)]\n".utf8)) == [expected, expected])
        #expect(try RaisedAlert.list(json: Array("\(row)\n\(row)\n".utf8)) == [expected, expected])
        #expect(try RaisedAlert.list(json: Array("[]".utf8)).isEmpty)
        #expect(try RaisedAlert.list(json: []).isEmpty)
        let short = "{\"stream\":\"a\",\"channels\":\"x,y\",\"opened_at\":\(mondayNs / 1_000_000_000)}"
        #expect(try RaisedAlert.list(json: Array(short.utf8))[0].channels == ["x", "y"])
        #expect(try RaisedAlert.list(json: Array(short.utf8))[0].openedNs == mondayNs)
    }

    @Test(arguments: [
        "{", "[1,", "[{}]", "{\"stream\":1}", "\"abc", "\"\\u12\"", "\"\\ud800\"", "nul", "[1 2]", "{\"a\" 1}",
        "{\"stream\":\"a\",\"opened_at\":\"x\"}",
        "{\"stream\":\"a\",\"opened_at\":-9223372036854775808}", "{\"stream\":\"a\",\"opened_at\":9223372036854775807}",
        "{\"stream\":\"a\",\"opened_at\":1e300}",
        String(repeating: "[", count: 100_000), "\u{1}",
    ])
    func hostileAlertFilesAreRefusedNotTrapped(text: String) {
        #expect(throws: SimulationError.self) { try RaisedAlert.list(json: Array(text.utf8)) }
    }

    @Test func theJSONReportIsJSONWithTheSameNumbers() throws {
        let known = labels(("a", "spike", 10, 12), ("b", "stuck", 20, 30))
        let report = DetectionReport(labels: known, alerts: [alert("a", minutes: 610), alert("a \"", minutes: 1)])
        let value = try JSONValue.parse(Array(report.json.utf8))
        #expect(value["alerts"] == .integer(2) && value["false_alerts"] == .integer(1) && value["total"]?["found"] == .integer(1))
        #expect(value["total"]?["median_delay_seconds"]?.doubleValue == 600)
        #expect(value["false_per_day"] == .number(0.1))
        guard case .array(let rows)? = value["faults"] else { throw SimulationError.text(got: "no rows", expected: "rows") }
        #expect(rows.map { $0["fault"] } == [.string("spike"), .string("stuck")])
        #expect(rows[1]["median_delay_seconds"] == .null)
    }

    @Test func theTableLinesUp() {
        let report = DetectionReport(labels: labels(("a", "spike", 10, 12)), alerts: [alert("a", minutes: 610)])
        let lines = report.table.split(separator: "\n")
        #expect(lines[0].hasPrefix("FAULT  INJECTED  FOUND"))
        #expect(lines[1].hasPrefix("spike         1      1"))
        #expect(lines[2].hasPrefix("all           1      1"))
        #expect(report.table.contains("0.00 false alerts per day in 10.0 days of 2 streams"))
    }
}
