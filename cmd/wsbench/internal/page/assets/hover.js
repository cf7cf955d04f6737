// Shows the values under the pointer, and moves with the arrow keys.
(function () {
  "use strict";
  var charts = JSON.parse(document.getElementById("data").textContent);

  function digits(v, n) { return v.toLocaleString("en-US", { maximumFractionDigits: n }); }
  function scaled(v, base, units) {
    var i = 0;
    for (; v >= base && units[i + 1]; i++) v /= base;
    return digits(v, v >= 100 ? 0 : 2) + " " + units[i];
  }
  var show = {
    count: function (v) { return digits(v, v >= 100 ? 0 : 2); },
    percent: function (v) { return digits(v, 1) + " %"; },
    bytes: function (v) { return scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]); },
    duration: function (v) { return scaled(v, 1000, ["ns", "µs", "ms", "s"]); },
    elapsed: function (v) { return digits(v, 1) + " s"; },
    quantile: function (v) { return digits(100 * v, 4) + " %"; },
  };

  function element(parent, name, className, text) {
    var e = document.createElement(name);
    e.className = className;
    if (text !== undefined) e.textContent = text;
    parent.appendChild(e);
    return e;
  }

  document.querySelectorAll(".field").forEach(function (field) {
    var chart = charts[Number(field.dataset.chart)];
    var hair, tip, current = -1;
    field.tabIndex = 0;

    function hide() {
      if (hair) { hair.remove(); tip.remove(); hair = null; }
      current = -1;
    }
    function known(i) { return chart.y.some(function (y) { return typeof y[i] === "number"; }); }
    function put(i) {
      if (i === current) return;
      hide();
      current = i;
      hair = element(field, "div", "hair");
      tip = element(field, "div", "tip");
      hair.style.left = chart.at[i] + "%";
      if (chart.at[i] > 50) tip.style.right = "calc(" + (100 - chart.at[i]) + "% + 8px)";
      else tip.style.left = "calc(" + chart.at[i] + "% + 8px)";
      element(tip, "strong", "", show[chart.kind](chart.x[i]));
      chart.names.forEach(function (name, n) {
        var v = chart.y[n][i];
        if (typeof v !== "number") return;
        var line = element(tip, "div", "");
        element(line, "span", "", name);
        element(line, "span", "", show[chart.unit](v));
      });
    }
    field.addEventListener("pointermove", function (e) {
      var box = field.getBoundingClientRect();
      var at = 100 * (e.clientX - box.left) / box.width;
      var best = -1, far = Infinity;
      chart.at.forEach(function (x, i) {
        var d = Math.abs(x - at);
        if (d < far && known(i)) { best = i; far = d; }
      });
      if (best >= 0) put(best);
    });
    field.addEventListener("pointerleave", hide);
    field.addEventListener("blur", hide);
    field.addEventListener("keydown", function (e) {
      var by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!by) return;
      e.preventDefault();
      var i = current === -1 ? (by === 1 ? 0 : chart.x.length - 1) : current + by;
      for (; chart.x[i] !== undefined; i += by) if (known(i)) return put(i);
    });
  });
})();
