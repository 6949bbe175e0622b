import CMosquitto
import Glibc
import Notification
import Platform
import Tabular

/// Publishes the state of every stream that has, or had, an alert: for Home Assistant a retained binary_sensor of class `problem` with
/// availability by last will; all is published again when Home Assistant comes online.
final class MQTTSink: Sink {
    private let configuration: SinkConfiguration
    private var client: OpaquePointer?
    /// What the callbacks of the library see; they run inside `mosquitto_loop`, in the sink's thread.
    private final class Session {
        var isConnected = false
        var answer = "not connected"
        var confirmed: Set<Int32> = []
        var wantsAll = false
    }
    private let session = Session()
    /// Payloads as they were confirmed last, by topic.
    private var published: [String: String] = [:]
    /// Alerts of each stream that the sink believes to be open.
    private var open: [String: [String: NotifyAlert]] = [:]
    private var nextTry: Int64 = 0
    private nonisolated(unsafe) static var isReady = false

    init(_ configuration: SinkConfiguration) { self.configuration = configuration }

    // MARK: - What is published

    private var availability: String { configuration.topic + "/status" }

    private func object(_ stream: String) -> String { Notice.checksum(stream) }

    private func messages(_ stream: String, _ alerts: [NotifyAlert]) -> [(topic: String, payload: String)] {
        let id = object(stream)
        let state = "\(configuration.topic)/\(id)/state"
        let attributes = "\(configuration.topic)/\(id)/attributes"
        let worst = alerts.map(\.severity).max()
        var list: [(String, String)] = []
        if !configuration.discovery.isEmpty {
            let device = JSONValue.object([
                "identifiers": .array([.string("rnn_watchd_\(Notice.checksum(configuration.topic))")]), "name": .string("rnn-watchd"),
                "manufacturer": .string("rnn-watchd"),
            ])
            let config = JSONValue.object([
                "name": .string(stream), "unique_id": .string("rnn_watchd_\(id)"), "state_topic": .string(state),
                "json_attributes_topic": .string(attributes), "availability_topic": .string(availability),
                "device_class": .string("problem"),
                "payload_on": .string("ON"), "payload_off": .string("OFF"), "device": device,
            ])
            list.append(("\(configuration.discovery)/binary_sensor/rnn_watchd_\(id)/config", config.compact))
        }
        list.append((state, alerts.isEmpty ? "OFF" : "ON"))
        list.append(
            (
                attributes,
                JSONValue.object([
                    "stream": .string(stream), "severity": .optional(worst?.rawValue), "alerts": .array(alerts.map { .string($0.id) }),
                    "reason": .optional(alerts.last?.reason), "since": .optional(alerts.first?.openedAt),
                ]).compact
            ))
        return list
    }

    func deliver(_ notice: Notice, atOpen: (String) -> Level?) -> Outcome {
        guard connect() else { return .failed(session.answer) }
        if notice.reason == .test { return publish("\(configuration.topic)/test", notice.key, retain: false) }
        var streams: Set<String> = []
        for alert in notice.firing {
            open[alert.stream, default: [:]][alert.id] = alert
            streams.insert(alert.stream)
        }
        for alert in notice.resolved {
            // Of an alert that is not stored any more only the id is known.
            for stream in alert.stream.isEmpty ? Array(open.filter { $0.value[alert.id] != nil }.keys) : [alert.stream] {
                open[stream, default: [:]][alert.id] = nil
                streams.insert(stream)
            }
        }
        for stream in streams.sorted() {
            let outcome = publishState(stream)
            guard outcome.isDelivered else { return outcome }
        }
        return .delivered("published")
    }

    private func publishState(_ stream: String) -> Outcome {
        let alerts = (open[stream] ?? [:]).values.sorted { ($0.openedTime, $0.id) < ($1.openedTime, $1.id) }
        for (topic, payload) in messages(stream, alerts) where published[topic] != payload {
            let outcome = publish(topic, payload, retain: true)
            guard outcome.isDelivered else { return outcome }
            published[topic] = payload
        }
        return .delivered("published")
    }

    /// After a restart the open alerts that were told are known again; keeps the connection alive and answers Home Assistant.
    func tend(_ alerts: [NotifyAlert], told: ToldBook, now: Int64) -> Outcome? {
        let ids = Set(told.ids)
        for alert in alerts where alert.isOpen && ids.contains(alert.id) && open[alert.stream]?[alert.id] == nil {
            open[alert.stream, default: [:]][alert.id] = alert
        }
        guard connect() else { return .failed(session.answer) }
        _ = mosquitto_loop(client, 0, 10)
        if session.wantsAll {
            session.wantsAll = false
            published.removeAll()
            _ = publish(availability, "online", retain: true)
            for stream in open.keys.sorted() {
                let outcome = publishState(stream)
                guard outcome.isDelivered else {
                    session.wantsAll = true
                    return outcome
                }
            }
        }
        return nil
    }

    func stop() {
        guard let client else { return }
        if session.isConnected { _ = publish(availability, "offline", retain: true) }
        mosquitto_disconnect(client)
        mosquitto_destroy(client)
        self.client = nil
    }

    // MARK: - The connection

    private func connect() -> Bool {
        if session.isConnected { return true }
        let now = Clocks.monotonic()
        guard now >= nextTry else { return false }
        nextTry = now + 5_000_000_000
        let address: String
        var password: String?
        do {
            address = try configuration.address()
            if !configuration.passwordFile.isEmpty { password = try Secrets.read(configuration.passwordFile) }
        } catch {
            session.answer = "\(error)"
            return false
        }
        let isSecure = address.hasPrefix("mqtts://")
        let place = address.drop { $0 != "/" }.drop { $0 == "/" }.prefix { $0 != "/" }
        let colon = place.lastIndex(of: ":")
        let host = colon.map { String(place[..<$0]) } ?? String(place)
        let port = colon.flatMap { Int32(place[place.index(after: $0)...]) } ?? (isSecure ? 8883 : 1883)
        if client == nil {
            if !MQTTSink.isReady { mosquitto_lib_init() }
            MQTTSink.isReady = true
            client = mosquitto_new(
                "rnn-notify-\(Notice.checksum(configuration.name + configuration.topic))", true,
                Unmanaged.passUnretained(session).toOpaque())
            guard let client else {
                session.answer = "out of memory"
                return false
            }
            mosquitto_connect_callback_set(client) { _, context, code in
                guard let context else { return }
                let session = Unmanaged<Session>.fromOpaque(context).takeUnretainedValue()
                session.isConnected = code == 0
                session.answer = String(cString: mosquitto_connack_string(code))
                session.wantsAll = code == 0
            }
            mosquitto_disconnect_callback_set(client) { _, context, code in
                guard let context else { return }
                let session = Unmanaged<Session>.fromOpaque(context).takeUnretainedValue()
                (session.isConnected, session.answer) = (false, String(cString: mosquitto_strerror(code)))
            }
            mosquitto_publish_callback_set(client) { _, context, id in
                guard let context else { return }
                Unmanaged<Session>.fromOpaque(context).takeUnretainedValue().confirmed.insert(id)
            }
            mosquitto_message_callback_set(client) { _, context, message in
                guard let context, let message, let payload = message.pointee.payload, message.pointee.payloadlen == 6 else { return }
                let text = UnsafeRawBufferPointer(start: payload, count: 6)
                if text.elementsEqual("online".utf8) { Unmanaged<Session>.fromOpaque(context).takeUnretainedValue().wantsAll = true }
            }
            if !configuration.user.isEmpty { mosquitto_username_pw_set(client, configuration.user, password) }
            if isSecure {
                mosquitto_tls_set(
                    client, configuration.caFile.isEmpty ? nil : configuration.caFile,
                    configuration.caFile.isEmpty ? "/etc/ssl/certs" : nil, nil, nil, nil)
            }
            mosquitto_will_set(client, availability, 7, "offline", 1, true)
        }
        let code = mosquitto_connect(client, host, port, 60)
        guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else {
            session.answer =
                code == Int32(MOSQ_ERR_ERRNO.rawValue) ? String(cString: strerror(errno)) : String(cString: mosquitto_strerror(code))
            return false
        }
        session.answer = "no answer to the connection"
        let until = Clocks.monotonic() + configuration.timeout
        while !session.isConnected, Clocks.monotonic() < until {
            guard mosquitto_loop(client, 100, 10) == Int32(MOSQ_ERR_SUCCESS.rawValue) else { break }
        }
        guard session.isConnected else { return false }
        if !configuration.discovery.isEmpty { mosquitto_subscribe(client, nil, configuration.discovery + "/status", 1) }
        return true
    }

    /// With quality of service 1; returns when the broker has confirmed it.
    private func publish(_ topic: String, _ payload: String, retain: Bool) -> Outcome {
        var id: Int32 = 0
        let bytes = Array(payload.utf8)
        let code = mosquitto_publish(client, &id, topic, Int32(bytes.count), bytes, 1, retain)
        guard code == Int32(MOSQ_ERR_SUCCESS.rawValue) else { return .failed(String(cString: mosquitto_strerror(code))) }
        let until = Clocks.monotonic() + configuration.timeout
        while session.confirmed.remove(id) == nil {
            guard Clocks.monotonic() < until else { return .failed("the broker did not confirm \(topic)") }
            guard mosquitto_loop(client, 100, 10) == Int32(MOSQ_ERR_SUCCESS.rawValue) else {
                session.isConnected = false
                return .failed(session.answer)
            }
        }
        return .delivered("confirmed by the broker")
    }
}
