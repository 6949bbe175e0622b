import Foundation
import Glibc
import ModelFiles
import Models
import RecurrentNetwork
import Testing

@Suite struct TrainTests {
    private struct Summary: Decodable {
        var epochs: Int
        var ended_by: String
        var validation_loss: Double?
        var persistence_loss: Double?
        var training_losses: [Double]
    }

    private func summary(_ outcome: Outcome) throws -> Summary { try JSONDecoder().decode(Summary.self, from: Data(outcome.output.utf8)) }

    private func train(_ bench: Bench, _ output: String, _ more: String...) throws -> Outcome {
        try bench.rnnctl(
            [
                "model", "train", "--history", bench.path("h.csv"), "--hidden", "16", "--window", "32", "--format", "json", "--output",
                bench.path(output),
            ]
                + more)
    }

    @Test(arguments: ["gru", "lstm", "elman"])
    func `training on waves with noise beats predicting the last reading again`(cell: String) throws {
        let bench = Bench()
        try bench.write("h.csv", waves(2000))
        let outcome = try train(bench, "m.safetensors", "--cell", cell, "--epochs", "40", "--lr", "0.01", "--loss", "mse")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let found = try summary(outcome)
        let (loss, persistence) = (try #require(found.validation_loss), try #require(found.persistence_loss))
        print("\(cell): \(loss) against \(persistence)")
        #expect(loss < 0.5 * persistence)
        #expect(found.training_losses.last! < 0.5 * found.training_losses[0])
        // The noise is uniform in +-0.5 around waves of amplitude 5 and 8; in their own unit predictions must come near it.
        let predicted = numbers(try bench.rnnctl("model", "predict", bench.path("m.safetensors"), bench.path("h.csv")).output)
        let readings = numbers(waves(2000))
        let errors = (1000..<1999).map { pow(predicted[$0][0] - readings[$0 + 1][0], 2) }
        #expect((errors.reduce(0, +) / 999).squareRoot() < 0.8)
    }

    @Test(arguments: [["--optimizer", "adam"], ["--optimizer", "sgd", "--checkpoint-every", "6", "--loss", "quantile", "--horizon", "2"]])
    func `a run in two halves is the run in one, bit for bit`(options: [String]) throws {
        let bench = Bench()
        try bench.write("h.csv", waves(900))
        func run(_ output: String, _ more: [String]) throws -> Int32 {
            try bench.rnnctl(
                [
                    "model", "train", "--history", bench.path("h.csv"), "--output", bench.path(output), "-q", "--window", "32", "--hidden",
                    "9",
                ] + more
            ).status
        }
        #expect(try run("one.safetensors", options + ["--epochs", "6"]) == 0)
        #expect(try run("two.safetensors", options + ["--epochs", "2"]) == 0)
        let half = try bench.bytes("two.safetensors")
        #expect(
            try bench.rnnctl(
                "model", "train", "--resume", "--epochs", "6", "-q", "--history", bench.path("h.csv"), "--output",
                bench.path("two.safetensors")
            ).status == 0)
        #expect(try bench.bytes("two.safetensors") == bench.bytes("one.safetensors"))
        #expect(half != (try bench.bytes("two.safetensors")))
    }

    @Test func `Ctrl-C keeps the best so far, and resuming ends where an undisturbed run does`() throws {
        let bench = Bench()
        try bench.write("h.csv", waves(3000))
        let options = [
            "model", "train", "--history", bench.path("h.csv"), "--window", "64", "--stride", "4", "--hidden", "24", "--epochs", "12",
            "--patience",
            "12", "--format", "json", "--output",
        ]
        #expect(try bench.rnnctl(options + [bench.path("whole.safetensors")]).status == 0)
        let process = try bench.process("rnnctl", options + [bench.path("cut.safetensors")], name: "cut")
        try process.run()
        while process.isRunning, !bench.text("cut.err").contains("epoch 2/") { usleep(2000) }
        kill(process.processIdentifier, SIGINT)
        let outcome = bench.outcome(process, name: "cut")
        #expect(outcome.status == 0 && !outcome.isCrash)
        let found = try summary(outcome)
        #expect(found.ended_by == "interrupted" && found.epochs < 12, "\(found)")
        let kept = try Safetensors.readModel(try bench.bytes("cut.safetensors"))
        #expect(kept != (try Safetensors.readModel(try bench.bytes("whole.safetensors"))))
        #expect(try bench.rnnctl(options + [bench.path("cut.safetensors"), "--resume"]).status == 0)
        #expect(try bench.bytes("cut.safetensors") == bench.bytes("whole.safetensors"))
    }

    @Test func `resuming with other options or other data is refused`() throws {
        let bench = Bench()
        try bench.write("h.csv", waves(600))
        #expect(try train(bench, "m.safetensors", "--epochs", "1").status == 0)
        let options = try train(bench, "m.safetensors", "--resume", "--cell", "lstm")
        #expect(options.status == 2 && options.errors.contains("--cell gru"), "\(options.errors)")
        try bench.write("h.csv", waves(601))
        let data = try train(bench, "m.safetensors", "--resume", "--epochs", "2")
        #expect(data.status == 1 && data.errors.contains("history"), "\(data.errors)")
    }

    @Test func `streams of very different sizes train one model, each with its own scale`() throws {
        let bench = Bench()
        var lines = ""
        for t in 0..<700 {
            lines += "pump,site=a temp=\(20 + sin(Double(t) / 5)) \(1_767_571_200 + 60 * t)000000000\n"
            lines += "pump,site=b temp=\(9000 + 500 * sin(Double(t) / 5)) \(1_767_571_200 + 60 * t)000000000\n"
        }
        let outcome = try bench.rnnctl(
            "model", "train", "--history", try bench.write("h.lp", lines), "--hidden", "8", "--window", "32", "--epochs", "3", "--output",
            bench.path("m.safetensors"), "-q")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let document = try ModelDocument(bytes: try bench.bytes("m.safetensors"), name: "m.safetensors") { _ in [] }
        let card = try #require(document.card)
        #expect(card.streams.map(\.key) == ["pump,site=a", "pump,site=b"] && card.channels == ["temp"])
        let (a, b) = (card.scale(of: "pump,site=a").scale, card.scale(of: "pump,site=b").scale)
        #expect(abs(a.mean[0] - 20) < 0.1 && abs(b.mean[0] - 9000) < 50)
        // b is a stretched 500 times, so the deviations are, too.
        #expect(abs(b.deviation[0] / a.deviation[0] - 500) < 0.01)
    }

    @Test func `a history that cannot be learned from is refused with the reason`() throws {
        let bench = Bench()
        try bench.write("h.csv", waves(20))
        let short = try train(bench, "m.safetensors")
        #expect(short.status == 1 && short.errors.contains("20 readings"), "\(short.errors)")
        for bad in [["--loss", "cubic"], ["--hidden", "0"], ["--lr", "-1"], ["--layers", "9"], ["--optimizer", "lion"]] {
            #expect(try train(bench, "m.safetensors", bad[0], bad[1]).status == 2, "\(bad)")
        }
    }

    @Test func `a far too large rate ends with status 1 or a finite model, never a crash`() throws {
        let bench = Bench()
        try bench.write("h.csv", waves(600))
        let outcome = try train(
            bench, "m.safetensors", "--lr", "1e30", "--optimizer", "sgd", "--clip-norm", "0", "--loss", "mse", "--epochs", "3")
        #expect(!outcome.isCrash && outcome.status <= 1)
        try Safetensors.readModel(try bench.bytes("m.safetensors")).validate()
    }

    @Test func `gradients are printed for every lag and cell`() throws {
        let bench = Bench()
        let outcome = try bench.rnnctl(
            "model", "gradients", "--history", try bench.write("h.csv", waves(400)), "--lags", "20", "--hidden", "8", "--format", "csv")
        #expect(outcome.output.hasPrefix("lag,elman,lstm,gru\n"))
        let rows = numbers(outcome.output)
        #expect(rows.count == 20 && rows.allSatisfy { $0.count == 3 && $0.allSatisfy { $0 > 0 && $0.isFinite } })
        for cell in 0..<3 { #expect(rows[19][cell] < rows[0][cell]) }
    }

    @Test func `an inspection adds up: tensors to parameters, contributions to the difference`() throws {
        let bench = Bench()
        try bench.write("h.csv", waves(600))
        #expect(try train(bench, "m.safetensors", "--epochs", "3").status == 0)
        let outcome = try bench.rnnctl("model", "inspect", bench.path("m.safetensors"), "--data", bench.path("h.csv"), "--format", "json")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        let sizes = tensors.map { ($0["shape"] as? [Int] ?? []).reduce(1, *) }
        // GRU: 3 gates x 16 units x (2 inputs + 16 hidden + 2 biases), dense: 2 x 16 + 2.
        #expect(sizes.reduce(0, +) == object["parameters"] as? Int && sizes.reduce(0, +) == 3 * 16 * (2 + 16 + 2) + 2 * 16 + 2)
        let data = try #require(object["data"] as? [String: Any])
        #expect((data["units"] as? [Any])?.count == 16)
        let attribution = try #require(data["attribution"] as? [String: Any])
        let sum = try #require(attribution["contributions"] as? [String: [Double]]).values.joined().reduce(0, +)
        let difference = try #require(attribution["value"] as? Double) - #require(attribution["baseline_value"] as? Double)
        #expect(abs(sum - difference) < 0.01 * max(0.1, abs(difference)))
    }
}
