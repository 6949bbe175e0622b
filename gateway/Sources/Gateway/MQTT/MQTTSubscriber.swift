import CMosquitto
import Glibc
import Platform
import ServiceLifecycle
import Synchronization
import WireFormats

/// One connection to a broker whose messages are readings.
///
/// The session is kept by the broker (`clean_session` false, QoS 1): what comes while the gateway is away waits there. A message is
/// acknowledged when it is in our hands, not when it is stored; of a killed gateway at most what it held is lost.
final class MQTTSubscriber: Service, @unchecked Sendable {
    // Unchecked: `client` is made in `init`, used by the thread of `run` only, and destroyed after that thread ended; the rest is
    // behind `state`.
    private struct State {
        var batch = LineBatch(bytesMax: MQTTSubscriber.bytesMax)
        var messages = 0
        var problem = ""
        var isConnected = false
    }

    private let source: MQTTSource
    private let store: any LineStore
    private let tally: Tally
    private let log: Log
    private let state = Mutex(State())
    private let client: OpaquePointer
    private let isStopping = Atomic(false)
    /// So much is held at most; then the broker keeps what it has.
    static let bytesMax = 4 << 20

    struct Failure: Error, CustomStringConvertible { let description: String }

    init(_ source: MQTTSource, store: any LineStore, tally: Tally, log: Log) throws {
        (self.source, self.store, self.tally, self.log) = (source, store, tally, log)
        mosquitto_lib_init()
        guard let client = mosquitto_new(source.clientID, false, nil) else { throw Failure(description: "cannot make an MQTT client") }
        self.client = client
        if !source.user.isEmpty {
            let password =
                source.passwordFile.isEmpty
                ? "" : String(decoding: try Files.read(source.passwordFile, bytesMax: 4096), as: UTF8.self).trimmed
            mosquitto_username_pw_set(client, source.user, password)
        }
        if !source.authorities.isEmpty, mosquitto_tls_set(client, source.authorities, nil, nil, nil, nil) != 0 {
            throw Failure(description: "mqtt: cannot use ca_file \(source.authorities)")
        }
        mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
        mosquitto_reconnect_delay_set(client, 1, 30, true)
        mosquitto_max_inflight_messages_set(client, 100)
        mosquitto_connect_callback_set(client) { _, owner, code in MQTTSubscriber.of(owner)?.connected(code) }
        mosquitto_disconnect_callback_set(client) { _, owner, code in MQTTSubscriber.of(owner)?.disconnected(code) }
        mosquitto_message_callback_set(client) { _, owner, message in
            guard let message else { return }
            MQTTSubscriber.of(owner)?.take(message.pointee)
        }
    }

    deinit { mosquitto_destroy(client) }

    private static func of(_ owner: UnsafeMutableRawPointer?) -> MQTTSubscriber? {
        owner.map { Unmanaged<MQTTSubscriber>.fromOpaque($0).takeUnretainedValue() }
    }

    func run() async throws {
        let thread = try WorkerThread("gw-mqtt") { [self] in loop() }
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .milliseconds(200)) }
            await flush()
        }
        isStopping.store(true, ordering: .relaxed)
        thread.join()
        await flush()
    }

    private func loop() {
        while !isStopping.load(ordering: .relaxed) {
            if mosquitto_socket(client) < 0 {
                let code = mosquitto_connect(client, source.host, Int32(source.port), 30)
                if code != 0 {
                    tell("cannot reach the broker \(source.host):\(source.port): \(String(cString: mosquitto_strerror(code)))")
                    for _ in 0..<20 where !isStopping.load(ordering: .relaxed) { Clocks.sleep(nanoseconds: 100_000_000) }
                    continue
                }
            }
            _ = mosquitto_loop(client, 200, 1)
            // Full: the broker waits, and keeps what it has.
            while state.withLock({ $0.batch.bytes.count > MQTTSubscriber.bytesMax / 2 }), !isStopping.load(ordering: .relaxed) {
                Clocks.sleep(nanoseconds: 20_000_000)
            }
        }
        mosquitto_disconnect(client)
        _ = mosquitto_loop(client, 100, 1)
    }

    private func tell(_ text: String) {
        let isNew = state.withLock { state in
            defer { state.problem = text }
            return state.problem != text
        }
        if isNew { log.warning("mqtt: \(text)") }
    }

    private func connected(_ code: Int32) {
        guard code == 0 else { return tell("the broker refuses: \(String(cString: mosquitto_connack_string(code)))") }
        for topic in source.topics where mosquitto_subscribe(client, nil, topic, 1) != 0 { tell("cannot subscribe to \(topic)") }
        state.withLock { ($0.isConnected, $0.problem) = (true, "") }
        log.notice("mqtt: connected to \(source.host):\(source.port)")
    }

    private func disconnected(_ code: Int32) {
        state.withLock { $0.isConnected = false }
        if code != 0 { tell("the broker \(source.host) is gone: \(String(cString: mosquitto_strerror(code)))") }
    }

    private func take(_ message: mosquitto_message) {
        let topic = message.topic.map { String(cString: $0) } ?? ""
        let payload = UnsafeRawBufferPointer(start: message.payload, count: Int(max(0, message.payloadlen)))
        state.withLock { state in
            state.messages += 1
            MQTTMessage.read(topic: topic, payload: payload, retained: message.retain, into: &state.batch)
        }
    }

    /// Stores what has gathered, trying until it is stored.
    private func flush() async {
        let (batch, messages) = state.withLock { state in
            defer { (state.batch, state.messages) = (LineBatch(bytesMax: MQTTSubscriber.bytesMax), 0) }
            return (state.batch, state.messages)
        }
        guard messages > 0 else { return }
        var refused: [Int: String] = [:]
        while batch.lineCount > 0 {
            do throws(StoreFailure) {
                refused = try await store.store(batch.bytes, lines: batch.lineCount)
                break
            } catch {
                // What was sent is kept by the link; sent again, readings without a time would be there twice.
                if case .late = error { break }
                if Task.isCancelled || (isStopping.load(ordering: .relaxed)) { break }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        tally.record(
            door: "mqtt", identity: source.clientID, agent: "\(source.host):\(source.port)", status: refused.isEmpty ? 204 : 400,
            bytes: batch.bytes.count,
            lines: batch.lineCount - refused.count, refused: batch.refusedCount + refused.count, skipped: batch.skippedCount,
            reasons: batch.refusals.map(\.reason) + refused.values, at: Clocks.wall())
    }
}
