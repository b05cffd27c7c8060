// Loaded into Azurite before it starts (`node --require`), for tests that kill it.

// It ends with the process that started it, however that ends: its standard input closes.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

// The service keeps every write it acknowledged; Azurite writes its tables down each five seconds and forgets the rest
// when it is killed. AZURITE_SAVE_MS sets another interval, and SIGUSR2 has them written at once.
if (process.env.AZURITE_SAVE_MS) {
  const Loki = require(require.resolve("lokijs", { paths: [process.argv[1]] }));
  const enable = Loki.prototype.autosaveEnable;
  Loki.prototype.autosaveEnable = function (options, callback) {
    process.on("SIGUSR2", () => this.saveDatabase());
    this.autosaveInterval = Number(process.env.AZURITE_SAVE_MS);
    return enable.call(this, options, callback);
  };
}
