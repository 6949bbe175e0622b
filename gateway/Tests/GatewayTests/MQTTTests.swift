import Testing
import WireFormats

@testable import Gateway

struct MQTTTests {
    private func read(_ topic: String, _ payload: String, retained: Bool = false) -> LineBatch {
        var batch = LineBatch()
        Array(payload.utf8).withUnsafeBytes { MQTTMessage.read(topic: topic, payload: $0, retained: retained, into: &batch) }
        return batch
    }

    private func text(_ batch: LineBatch) -> String { String(decoding: batch.bytes, as: UTF8.self) }

    @Test("A JSON object and a number belong to their topic, a line names itself")
    func forms() {
        #expect(text(read("hall/a b", "{\"t\":21.5,\n\"time\":1700000000}")) == "hall/a\\ b {\"t\":21.5, \"time\":1700000000}\n")
        #expect(text(read("hall", " 21.5 ")).hasPrefix("hall"))
        #expect(text(read("hall", "pump,site=a p=3 1700000000000000000")) == "pump,site=a p=3 1700000000000000000\n")
    }

    @Test("A retained message is a reading only with a time of its own")
    func retained() {
        #expect(read("hall", "21.5", retained: true).lineCount == 0 && read("hall", "21.5", retained: true).skippedCount == 1)
        #expect(read("hall", "{\"t\":1}", retained: true).lineCount == 0)
        #expect(read("hall", "{\"t\":1,\"time\":1700000000}", retained: true).lineCount == 1)
    }

    @Test("What is no reading is refused with a reason and stops nothing", arguments: ["on", "{", "{\"state\":\"on\"}", "", "\u{0}\u{1}"])
    func noReading(payload: String) { #expect(read("hall", payload).lineCount == 0) }
}
