import HTTPTypes
import Hummingbird
import Tabular
import TimeSeries

/// What people may do from the page. Each is a POST of a form, needs the right to act, and is answered by a way back.
extension PageController {
    /// Forms of an alert; none when the daemon knows no acts.
    func actForms(_ id: String, _ alert: JSONValue) -> HTML {
        guard alert["attention"] != nil else { return "" }
        func form(_ act: String, _ label: String, _ inside: HTML = "") -> HTML {
            "<form class=\"act\" method=\"post\" action=\"/act\"><input type=\"hidden\" name=\"id\" value=\"\(id)\"><input type=\"hidden\" name=\"act\" value=\"\(act)\">\(inside)<button>\(label)</button></form>"
        }
        let words: HTML = "<label>Words <input name=\"text\" maxlength=\"500\"></label>"
        let span: HTML =
            "<label>For <select name=\"for\"><option>1h</option><option>4h</option><option>1d</option><option>7d</option></select></label>"
        let verdict: HTML =
            "<label>It was <select name=\"verdict\"><option value=\"true\">a true alarm</option><option value=\"false\">a false alarm</option><option value=\"expected\">expected</option></select></label>"
        let isOpen = alert["state"]?.text == "open"
        let open: [HTML] = isOpen ? [form("ack", "Acknowledge", words), form("shelve", "Shelve", span), form("close", "Close", words)] : []
        return """
            <h2>Act</h2>\(open)\(form("feedback", "Tell", verdict))\(form("comment", "Comment", words))\(form("silence", "Silence the stream", span))
            """
    }

    func act(_ request: Request, _ context: GatewayContext) async -> Response {
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .act) } catch {
            return Page.response(
                error.status, View(title: "Not allowed", body: "<h1>Not allowed</h1><p>\(error.reason)</p>", isLive: false), "now")
        }
        var request = request
        guard let body = try? await request.collectBody(upTo: 16 << 10) else {
            return Page.response(.contentTooLarge, View(title: "Too long", body: "<h1>Too long</h1>", isLive: false), "now")
        }
        let form = Page.query(String(buffer: body))
        func value(_ name: String) -> String { form[name] ?? "" }
        let id = value("id")
        do {
            let (command, arguments) = try await PageController.command(value, id, control)
            let answer = try await control.ask(command, .object(arguments.map { JSONValue.Member($0.0, $0.1) }))
            if let refused = answer.rows.first(where: { $0["ok"]?.truth == false }) {
                throw ControlFailure.refused(refused.shown("result"))
            }
            return Response(status: .seeOther, headers: [.location: "/alert?id=\(HTML.query(id))"])
        } catch {
            let status: HTTPResponse.Status = if case .unreachable? = error as? ControlFailure { .badGateway } else { .badRequest }
            return Page.response(
                status,
                View(
                    title: "Not done",
                    body: "<h1>Not done</h1><p>\("\(error)")</p><p><a href=\"/alert?id=\(HTML(raw: HTML.query(id)))\">Back</a></p>",
                    isLive: false),
                "now")
        }
    }

    private static func command(
        _ value: (String) -> String, _ id: String, _ control: any ControlPort
    ) async throws -> (String, [(String, JSONValue)]) {
        let ids: (String, JSONValue) = ("ids", .array([.string(id)]))
        var arguments = [ids]
        if !value("text").isEmpty { arguments.append(("text", .string(value("text")))) }
        if !value("for").isEmpty { arguments.append(("for", .integer(try TimeSpan(parsing: value("for")).nanoseconds))) }
        switch value("act") {
        case "ack": return ("alerts.ack", arguments)
        case "shelve": return ("alerts.shelve", arguments)
        case "close": return ("alerts.close", arguments)
        case "comment": return ("alerts.comment", arguments)
        case "feedback": return ("alerts.feedback", arguments + [("verdict", .string(value("verdict")))])
        case "silence":
            let alert = try await control.ask("alerts.show", .object(["id": .string(id)]))
            return ("silence.add", arguments.dropFirst() + [("streams", .array([.string(Page.globLiteral(alert["stream"]?.text ?? ""))]))])
        default: throw ControlFailure.refused("got \(value("act").prefix(40)), expected ack, shelve, close, comment, feedback or silence")
        }
    }
}
