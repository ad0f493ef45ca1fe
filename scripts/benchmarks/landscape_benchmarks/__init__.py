"""What results/benchmarks and results/scaling are measured with: contenders and their race, mechanisms, roofline, memory, ranks."""
