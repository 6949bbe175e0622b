import Testing

@testable import Evaluation

@Suite("Scores of the benchmark")
struct NabScorerTests {
    /// 1000 rows, one window 500...599; the probation is 150 rows.
    private func scorer(_ alarms: [Int]) -> NabScorer {
        var scores = [Double](repeating: 0, count: 1000)
        for i in alarms { scores[i] = 1 }
        var scorer = NabScorer()
        scorer.add(scores: scores, windows: [500...599])
        return scorer
    }

    @Test("An alarm on the first row of every window and nowhere else is worth 100, no alarm at all 0")
    func ends() {
        for costs in NabScorer.Costs.all {
            #expect(abs(scorer([500]).best(costs).score - 100) < 1e-9)
            #expect(scorer([]).score(costs, threshold: 0.5).score == 0)
        }
    }

    @Test("Only the best row of a window counts, and a later one is worth less")
    func bestRow() {
        let early = scorer([510]).score(.standard, threshold: 0.5)
        let both = scorer([510, 580]).score(.standard, threshold: 0.5)
        let late = scorer([580]).score(.standard, threshold: 0.5)
        #expect(early.score == both.score && late.score < early.score && late.score > 0)
        #expect(both.windowsFound == 1 && both.falseRows == 0)
    }

    @Test("A row far from every window costs its whole weight, counted against perfect minus nothing = 2")
    func falsePositive() {
        let clean = scorer([500]).score(.standard, threshold: 0.5).score
        let before = scorer([300, 500]).score(.standard, threshold: 0.5).score
        #expect(abs(clean - before - 100 * 0.11 / 2) < 1e-9)
        #expect(abs(scorer([500]).score(.lowFalseNegatives, threshold: 0.5).score - 100) < 1e-9)
    }

    @Test("The probation does not count, and it is at most 750 rows")
    func probation() {
        #expect(scorer([10, 149, 500]).score(.standard, threshold: 0.5).score == scorer([500]).score(.standard, threshold: 0.5).score)
        #expect(scorer([150, 500]).score(.standard, threshold: 0.5).score < 100)
        #expect(NabScorer.probation(rows: 1000) == 150 && NabScorer.probation(rows: 100_000) == 750)
    }
}

@Suite("Events and points")
struct MetricTests {
    private func flags(_ n: Int, _ on: [Int]) -> [Bool] { (0..<n).map { on.contains($0) } }

    @Test("An event is found within its rows widened by before and after; alarms within merge rows are one false alarm")
    func events() {
        var metric = EventMetric(.init(merge: 10, before: 2, after: 3))
        metric.add(alarms: flags(300, [48, 102, 110, 121, 200]), events: [50..<60, 150..<160], start: 10)
        #expect(metric.found == 1 && metric.missed == 1 && metric.delays == [-2])
        // 102 and 110 are one, 121 is 11 rows later and its own, 200 its own.
        #expect(metric.falseAlarms == 3 && metric.rows == 290)
        #expect(abs(metric.f1 - 2.0 / 6) < 1e-12)
    }

    @Test("A false alarm that lasts counts again every four merge distances")
    func lasting() {
        var metric = EventMetric(.init(merge: 10, before: 0, after: 0))
        metric.add(alarms: flags(300, Array(100..<181)), events: [], start: 0)
        #expect(metric.falseAlarms == 3)
    }

    @Test("Areas: a perfect score gives 1, a constant one the base rate and one half")
    func areas() throws {
        let events = [40..<60]
        let perfect = PointMetrics(scores: (0..<100).map { (40..<60).contains($0) ? 1 : 0 }, events: events)
        #expect(perfect.aucPR == 1 && perfect.aucROC == 1)
        let flat = PointMetrics(scores: [Double](repeating: 3, count: 100), events: events)
        #expect(abs((try #require(flat.aucPR)) - 0.2) < 1e-12 && flat.aucROC == 0.5)
        #expect(PointMetrics(scores: [1, 2], events: []).aucPR == nil)
        #expect((try #require(perfect.vusPR(window: 10))) > 0.8)
    }
}
