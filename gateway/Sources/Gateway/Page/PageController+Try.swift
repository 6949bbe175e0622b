import HTTPTypes
import Hummingbird
import NIOCore
import Tabular
import TimeSeries

/// What the detector would have raised in a file of one's own. Nothing of it is kept.
extension PageController {
    func tryForm(_ query: Query) async throws(ControlFailure) -> View {
        View(title: "Try", body: "<h1>Try a file</h1>\(PageController.tryHead)", isLive: false)
    }

    private static let tryHead: HTML = """
        <p>A CSV file with a time column and columns of numbers, at most 4 MiB. Nothing of it is kept.</p>
        <form class="act" method="post" action="/try" enctype="multipart/form-data"><label>File <input type="file" name="file" accept=".csv,text/csv" required></label><button>Score</button></form>
        """

    func tryFile(_ request: Request, _ context: GatewayContext) async -> Response {
        func told(_ status: HTTPResponse.Status, _ text: String) -> Response {
            Page.response(
                status,
                View(
                    title: "Try", body: "<h1>Try a file</h1><p class=\"notice\" role=\"alert\">\(text)</p>\(PageController.tryHead)",
                    isLive: false), "try")
        }
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .read) } catch {
            return told(error.status, error.reason)
        }
        let reservation = Reservation(parts.reception.budget)
        guard reservation.grow(by: Trial.fileBytesMax * 2) else {
            return told(.serviceUnavailable, "too much is being received at this moment")
        }
        var request = request
        guard let body = try? await request.collectBody(upTo: Trial.fileBytesMax) else {
            return told(.contentTooLarge, "the file has more than 4 MiB")
        }
        guard let file = Trial.file(Array(buffer: body), contentType: request.headers[.contentType] ?? ""), !file.isEmpty else {
            return told(.badRequest, "got no file, expected one in the form")
        }
        do {
            let scores = try await Trial(program: parts.settings.rnnctl).score(file, format: "csv")
            return Page.response(
                .ok, View(title: "Try: what would have been raised", body: PageController.result(scores), isLive: false), "try")
        } catch { return told(.unprocessableContent, "\(error)") }
    }

    /// At most so many points are drawn; of more every n-th, and all alerts.
    private static let pointsMax = 2000

    static func result(_ scores: String) -> HTML {
        var lines = scores.split(separator: "\n")[...]
        let heads = lines.popFirst()?.split(separator: ",").map(String.init) ?? []
        let alertColumn = heads.firstIndex(of: "alert") ?? 2
        let scoreColumn = heads.firstIndex(of: "score") ?? 1
        let step = max(1, lines.count / pointsMax)
        var points: [Chart.Point] = []
        var spans: [(from: Int64, to: Int64)] = []
        var alerts: [[HTML]] = []
        for (index, line) in lines.enumerated() {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false)
            guard cells.count > max(alertColumn, scoreColumn) else { continue }
            let isAlert = cells[alertColumn] == "1"
            guard isAlert || index % step == 0 else { continue }
            let time = TimeText.instant(String(cells[0])) ?? Int64(index) * 1_000_000_000
            points.append(Chart.Point(time: time, value: Double(String(cells[scoreColumn]))))
            if isAlert {
                spans.append((time, time))
                if alerts.count < 500 { alerts.append(["\(String(cells[0]))", "\(String(cells[scoreColumn]))"]) }
            }
        }
        return """
            <h1>\(alerts.isEmpty ? "No alert would have been raised" : "\(spans.count) \(spans.count == 1 ? "reading" : "readings") would have been told as an alert")</h1>
            <p>\(lines.count) rows were judged.</p>\(Chart(title: "Score, alerts marked", points: points, spans: spans).html)
            \(HTML.table("Alerts", ["Time", "Score"], alerts, empty: "None."))<h2>Another file</h2>\(tryHead)
            """
    }
}
