"""`python -m risk_service api | worker | all | migrate | openapi | settings …`."""

from risk_service.app import app

if __name__ == "__main__":
    app.main()
